/** What the page makes of delivery events: words, days, and what a status code says to a person. */
import type { DeliveryEvent } from "../../api/relay";
import type { IconName } from "../../ui/icon";

export interface Kind {
  word: string;
  icon: IconName;
  tone: "good" | "warn" | "bad" | "";
  /** What it means, in a list of what can be asked for. */
  meaning: string;
}

const KINDS: Record<string, Kind> = {
  delivered: { word: "Delivered", icon: "check", tone: "good", meaning: "The recipient's server took the mail" },
  deferred: { word: "Deferred", icon: "clock", tone: "warn", meaning: "Not yet; it is tried again" },
  bounced: { word: "Bounced", icon: "warning", tone: "bad", meaning: "Refused for good" },
  complained: { word: "Complained", icon: "junk", tone: "bad", meaning: "The recipient reported it as unwanted" },
  suppressed: { word: "Held back", icon: "close", tone: "", meaning: "The address is on your list of those not written to" },
  unsubscribed: { word: "Unsubscribed", icon: "signOut", tone: "", meaning: "The recipient wants no more of it" },
  expired: { word: "Given up", icon: "warning", tone: "bad", meaning: "Not delivered in the time that the policy gives it" },
  cancelled: { word: "Cancelled", icon: "close", tone: "", meaning: "Stopped by you before it was sent" },
  queued: { word: "Waiting", icon: "clock", tone: "", meaning: "Not tried yet, or tried again later" },
};

export const kindOf = (type: string): Kind => KINDS[type] ?? { word: type, icon: "info", tone: "", meaning: "" };

/** Enhanced status codes (RFC 3463) that explain themselves badly; the detail first, then the subject. */
const CODES: Record<string, string> = {
  "1.1": "no such address",
  "1.2": "no such domain",
  "1.10": "the domain takes no mail",
  "2.1": "the mailbox is disabled",
  "2.2": "the mailbox is full",
  "3.4": "too large for them",
  "4.1": "their server does not answer",
  "4.4": "no mail server found",
  "4.7": "their server did not take it in time",
  "7.1": "refused by their rules",
  "7.26": "not authenticated: check your sender domains",
};
const SUBJECTS: Record<string, string> = {
  "1": "the address",
  "2": "the mailbox",
  "3": "their mail system",
  "4": "the way there",
  "5": "the protocol",
  "6": "the content",
  "7": "their rules",
};

/** "no such address" for 5.1.1; empty where nothing is known, or nothing was wrong. */
export function explain(status: string): string {
  const parts = /^([245])\.(\d{1,3})\.(\d{1,3})$/.exec(status);
  if (!parts || parts[1] === "2") return "";
  return CODES[`${parts[2]}.${parts[3]}`] ?? SUBJECTS[parts[2]!] ?? "";
}

export interface Day {
  /** Midnight, by the clock of this browser. */
  date: Date;
  counts: Record<string, number>;
}

/** Events by day, oldest day first, without gaps; the newest `most` days, and `least` where nothing happened before. */
export function byDay(events: readonly DeliveryEvent[], least = 1, most = 30): Day[] {
  const counted = new Map<number, Record<string, number>>();
  for (const { at, type } of events) {
    const time = new Date(at);
    if (Number.isNaN(time.getTime())) continue;
    const day = new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
    const counts = counted.get(day) ?? {};
    counts[type] = (counts[type] ?? 0) + 1;
    counted.set(day, counts);
  }
  if (counted.size === 0) return [];
  const last = new Date(Math.max(...counted.keys()));
  const first = Math.min(...counted.keys());
  const days: Day[] = [];
  // Days by the calendar, not by hours: some have 23.
  for (let back = 0; back < most; back++) {
    const date = new Date(last.getFullYear(), last.getMonth(), last.getDate() - back);
    if (date.getTime() < first && back >= least) break;
    days.unshift({ date, counts: counted.get(date.getTime()) ?? {} });
  }
  return days;
}

/** Types with their numbers, those that occur, in the order in which `types` has them. */
export function tally(events: readonly DeliveryEvent[], types: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { type } of events) counts.set(type, (counts.get(type) ?? 0) + 1);
  return types.flatMap((type): [string, number][] => (counts.has(type) ? [[type, counts.get(type)!]] : []));
}

/** Adds a page of older events; what was there already (the list grows at its front) is not there twice. */
export function withOlder(known: readonly DeliveryEvent[], older: readonly DeliveryEvent[]): DeliveryEvent[] {
  const ids = new Set(known.map(({ id }) => id));
  return [...known, ...older.filter(({ id }) => !ids.has(id))];
}
