/** Comparisons of what was counted with what is held: one row for each day, one column for each meter. */
import type { Reconciliation } from "./billing-api";
import { title } from "./words";

export interface Compared {
  meters: string[];
  days: { day: string; cells: (Reconciliation | null)[] }[];
  /** comparisons that do not agree, the newest first */
  apart: Reconciliation[];
  /** of the largest difference of a meter, for its scale */
  widest: Map<string, number>;
}

export function compared(found: Reconciliation[]): Compared {
  const meters = [...new Set(found.map((one) => one.meter))].sort();
  const days = [...new Set(found.map((one) => one.day))].sort().reverse();
  const by = new Map(found.map((one) => [`${one.day} ${one.meter}`, one]));
  const widest = new Map(meters.map((meter) => [meter, 1]));
  for (const one of found) widest.set(one.meter, Math.max(widest.get(one.meter) ?? 1, Math.abs(difference(one))));
  return {
    meters,
    days: days.map((day) => ({ day, cells: meters.map((meter) => by.get(`${day} ${meter}`) ?? null) })),
    apart: found.filter((one) => difference(one) !== 0).sort((a, b) => b.day.localeCompare(a.day)),
    widest,
  };
}

/** What was counted and is not there, or with a minus what is there and was not counted. */
export const difference = ({ counted, owned }: Reconciliation) => counted - owned;

export function differenceWords(one: Reconciliation): string {
  const off = difference(one);
  if (off === 0) return "agrees";
  const amount = Math.abs(off).toLocaleString();
  return off > 0 ? `${amount} too many counted` : `${amount} not counted`;
}

export const meterTitle = (meter: string) => title(meter);
