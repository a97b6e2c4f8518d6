/** How the platform is, in words: from processes that answer, and from the share of errors of the last minutes. */
import type { Health, Series, ServiceHealth } from "./types";

export type Tone = "good" | "warning" | "bad";

export interface Condition {
  tone: Tone;
  word: string;
}

// Of the points of a series, half a minute each: long enough that one refused request is no alarm.
const LAST = 10;
const MANY = 0.05;
const FULL = 0.9;

export const seriesOf = (service: ServiceHealth, name: string): Series | undefined =>
  service.series.find((one) => one.name === name);

/** The newest value that is known; null where none is. */
export function newest(series: Series | undefined): number | null {
  return series?.values.findLast((value) => value !== null) ?? null;
}

const mean = (series: Series | undefined): number => {
  const known = (series?.values.slice(-LAST) ?? []).filter((value) => value !== null);
  return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length;
};

/** The share of requests that failed, lately. */
export function errorShare(service: ServiceHealth): number {
  const requests = mean(seriesOf(service, "requests"));
  return requests > 0 ? Math.min(1, mean(seriesOf(service, "errors")) / requests) : 0;
}

export function conditionOf(service: ServiceHealth): Condition {
  if (service.up === 0) return { tone: "bad", word: "does not answer" };
  if (errorShare(service) > MANY) return { tone: "bad", word: `fails ${Math.round(errorShare(service) * 100)} % of requests` };
  if (service.up < service.expected) return { tone: "warning", word: `${service.up} of ${service.expected} answer` };
  if (mean(seriesOf(service, "saturation")) > FULL) return { tone: "warning", word: "near its limit" };
  return { tone: "good", word: "well" };
}

const RANK: Tone[] = ["good", "warning", "bad"];

/** All of it in a sentence or two. */
export function overall(health: Health): { tone: Tone; text: string } {
  const all = health.services.map((service) => ({ service: service.service, ...conditionOf(service) }));
  if (all.length === 0) return { tone: "warning", text: "Nothing is known about any service yet." };
  const ailing = all.filter((one) => one.tone !== "good");
  if (ailing.length === 0) return { tone: "good", text: `All ${all.length} services answer, and are well.` };
  const tone = RANK[Math.max(...ailing.map((one) => RANK.indexOf(one.tone)))]!;
  return { tone, text: `${ailing.map((one) => `${one.service}: ${one.word}`).join("; ")}.` };
}
