/** Opens and clicks of a campaign, as a chart and a table say them. */
import type { Count, DeliveryEvent, ResponseDay } from "../../api/relay";

export type Kind = "opens" | "clicks";
export const KINDS: { kind: Kind; word: string }[] = [
  { kind: "opens", word: "Opened" },
  { kind: "clicks", word: "Followed a link" },
];

/** One day of a chart, in shares of its height; null where there is no number. */
export interface Bar {
  high: number;
  low: number;
  top: number;
}

/** The bars of one kind. The highest whisker is as high as the chart; none goes below zero, for nobody counts less. */
export function bars(days: ResponseDay[], kind: Kind): (Bar | null)[] {
  const most = Math.max(1, ...days.map((day) => upper(day[kind])));
  return days.map((day) => {
    const count = day[kind];
    if (!count) return null;
    const share = (value: number) => Math.max(0, value) / most;
    return { high: share(count.value), low: share(count.value - count.half_width), top: share(upper(count)) };
  });
}

const upper = (count: Count | null) => (count ? count.value + count.half_width : 0);

/** A number with its interval: "210 ± 41". */
export const said = ({ value, half_width }: Count) => `${value.toLocaleString()} ± ${half_width.toLocaleString()}`;

/** What a day says about one kind. */
export function sayDay(day: ResponseDay, kind: Kind): string {
  const count = day[kind];
  if (count) return said(count);
  if (day.state === "released") return "Too few to say";
  return day.state === "open" ? "Not reckoned yet" : "No number for this day";
}

/** Names of campaigns among events, the newest first. */
export const campaignsOf = (events: DeliveryEvent[]) => [
  ...new Set(events.map(({ campaign }) => campaign).filter((campaign) => campaign !== "")),
];

export const isCampaign = (name: string) => /^[a-z0-9_-]{1,64}$/.test(name);

/** A day of UTC, as statistics have them. */
export const dayOf = (day: string) =>
  new Date(day).toLocaleDateString([], { day: "numeric", month: "short", timeZone: "UTC" });
