/** A statement by day: every day of the range has its place, and days without an entry are days without use. */
import type { Allowance, DayUsage } from "../api/billing";

export interface Series {
  days: string[];
  values: number[];
  total: number;
  most: number;
}

const DAY_MS = 86_400_000;

/** The last `count` days of UTC, the oldest first. */
export function lastDays(count: number, now: Date): string[] {
  const today = Math.floor(now.getTime() / DAY_MS);
  return Array.from({ length: count }, (_, i) => isoDay(today - count + 1 + i));
}

const isoDay = (number: number) => new Date(number * DAY_MS).toISOString().slice(0, 10);

export function series(days: string[], found: DayUsage[], meter: string): Series {
  const known = new Map(found.map((one) => [one.day, one.units[meter] ?? 0]));
  const values = days.map((day) => known.get(day) ?? 0);
  return { days, values, total: values.reduce((sum, value) => sum + value, 0), most: Math.max(0, ...values) };
}

const TITLES: Record<string, string> = {
  mails_stored: "Mails received",
  mails_delivered: "Mails delivered",
  api_operations: "API operations",
  sends: "Mails sent",
  pieces: "Printed pieces",
};

/** Meters of which there is a count by day: those that were used, then those of the plan. */
export function metersOf(found: DayUsage[], allowances: Allowance[]): [string, string][] {
  const titles = new Map(allowances.filter((one) => one.per !== "level").map((one) => [one.meter, one.title]));
  for (const meter of found.flatMap((day) => Object.keys(day.units)))
    if (!titles.has(meter)) titles.set(meter, TITLES[meter] ?? meter.replace(/_/g, " "));
  return [...titles].sort((a, b) => a[1].localeCompare(b[1]));
}

/** A round number at or above `most`, so that the axis says something: 1, 2 or 5 by ten. */
export function ceiling(most: number): number {
  if (most <= 1) return 1;
  const ten = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * ten).find((step) => step >= most) ?? 10 * ten;
}
