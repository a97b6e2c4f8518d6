/** Figures and times as people read them, in the language of their browser. */
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "1.2 MB"; decimal units, as disks and mail providers count. */
export function bytes(count: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Short for a list: the time of today, the weekday of this week, the date before. */
export function shortTime(time: Date, now = new Date()): string {
  if (Number.isNaN(time.getTime())) return "";
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  if (time.getTime() >= today) return time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (time.getTime() >= today - 6 * DAY) return time.toLocaleDateString([], { weekday: "short" });
  const sameYear = time.getFullYear() === now.getFullYear();
  return time.toLocaleDateString([], { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) });
}

export function longTime(time: Date): string {
  if (Number.isNaN(time.getTime())) return "unknown";
  return time.toLocaleString([], { dateStyle: "full", timeStyle: "short" });
}

/** "in 3 days", "in 40 minutes", "now" */
export function untilTime(time: Date, now = Date.now()): string {
  const left = time.getTime() - now;
  if (left < MINUTE) return "any moment";
  if (left < HOUR) return plural(Math.round(left / MINUTE), "minute");
  if (left < 2 * DAY) return plural(Math.round(left / HOUR), "hour");
  return plural(Math.round(left / DAY), "day");
}

export function duration(seconds: number): string {
  if (seconds < 3600) return plural(Math.max(1, Math.round(seconds / 60)), "minute");
  if (seconds < 2 * 86_400) return plural(Math.round(seconds / 3600), "hour");
  return plural(Math.round(seconds / 86_400), "day");
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/** "23 November 2026" */
export function longDay(time: Date): string {
  if (Number.isNaN(time.getTime())) return "an unknown day";
  return time.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" });
}
