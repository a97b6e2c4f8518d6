/** Names of machines in the words of people, and figures and times as people read them. */

/** "mail_received" becomes "Mail received". */
export function title(name: string): string {
  const plain = name.replace(/[_-]+/g, " ").trim().replace(/^(http|smtp|tls|cpu)\b/, (word) => word.toUpperCase());
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

const VALUES: Record<string, string> = {
  mx: "from other servers",
  submission: "from mail programs",
  "2xx": "2xx, fine",
  "3xx": "3xx, elsewhere",
  "4xx": "4xx, refused",
  "5xx": "5xx, failed",
  "4k": "up to 4 kB",
  "16k": "up to 16 kB",
  "64k": "up to 64 kB",
  "256k": "up to 256 kB",
  "1m": "up to 1 MB",
  "4m": "up to 4 MB",
  "16m": "up to 16 MB",
  "64m": "up to 64 MB",
};

export function valueWord(value: string): string {
  return VALUES[value] ?? value.replace(/_/g, " ");
}

const UNITS: Record<string, string> = {
  ip: "One address of the network",
  account: "One account",
  recipient: "One recipient",
};

/** What one person can add, in a sentence. */
export function boundWords(unit: string, perUnit: number): string {
  return `${UNITS[unit] ?? title(unit)} counts at most ${perUnit === 1 ? "once" : `${count(perUnit)} times`} a day.`;
}

const REASONS: Record<string, string> = {
  open: "not released yet",
  budget: "the privacy budget of the day was spent",
  lost: "the counts were lost",
  threshold: "below the threshold of release",
};

export const reasonWord = (reason: string) => REASONS[reason] ?? reason.replace(/_/g, " ");

const DEEDS: Record<string, string> = {
  releases: "Read statistics",
  export: "Exported statistics",
  audit: "Read the audit",
  budget: "Read the budget",
  health: "Looked at health",
  holders: "Listed who sees statistics",
  holder_granted: "Asked to give the role statistics",
  holder_revoked: "Asked to take the role statistics back",
};

export const deedWord = (what: string) => DEEDS[what] ?? title(what);

/** "12,345" */
export const count = (value: number) => Math.round(value).toLocaleString();

/** "1,234 ± 749" */
export const withNoise = (value: number, half: number) => `${count(value)} ± ${count(half)}`;

/** ε and δ: short, and never 0 where it is not. */
export function amount(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 0.001) return value.toExponential(1).replace("e-", " · 10⁻").replace(/⁻(\d+)$/, (_, d: string) => `⁻${raised(d)}`);
  return value.toLocaleString([], { maximumFractionDigits: 2 });
}

const raised = (digits: string) => [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");

/** The figure of a health series: "24 per second", "31 ms", "122 MB", "14 %". */
export function measured(value: number | null, unit: string): string {
  if (value === null) return "unknown";
  if (unit === "seconds") return value < 0.9995 ? `${short(value * 1000)}\u00a0ms` : `${short(value)}\u00a0s`;
  if (unit === "ratio") return `${short(value * 100)}\u00a0%`;
  if (unit === "bytes") return `${short(value / 1e6)}\u00a0MB`;
  if (unit === "per_second") return `${short(value)}/s`;
  return short(value);
}

function short(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.01) return "< 0.01";
  return value.toLocaleString([], Math.abs(value) < 9.95 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 });
}

const HOURS: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

/** A window in words: hours in the zone of the reader, days as the days of UTC that they are. */
export function windowWords(start: number, end: number): string {
  const [first, last] = [new Date(start * 1000), new Date(end * 1000)];
  if (isDay(start, end)) {
    return first.toLocaleDateString([], { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
  }
  return `${first.toLocaleString([], HOURS)}–${last.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
}

const isDay = (start: number, end: number) => end - start >= 86_400 && start % 86_400 === 0;

/** "Europe/Berlin, UTC+1" */
export function zoneWords(now = new Date()): string {
  const ahead = -now.getTimezoneOffset();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (ahead === 0) return "UTC";
  const sign = ahead < 0 ? "−" : "+";
  const [hours, minutes] = [Math.floor(Math.abs(ahead) / 60), Math.abs(ahead) % 60];
  return `${zone}, UTC${sign}${hours}${minutes ? `:${String(minutes).padStart(2, "0")}` : ""}`;
}

export function moment(time: string): string {
  return new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function utcDay(time: string): string {
  return new Date(time).toLocaleDateString([], { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
}

/** Seconds in the one unit that fits: "3 days", "40 minutes". */
export function span(seconds: number): string {
  for (const [size, unit] of [
    [86_400, "day"],
    [3_600, "hour"],
    [60, "minute"],
  ] as const) {
    if (seconds >= size) return several(Math.floor(seconds / size), unit);
  }
  return several(Math.max(0, Math.floor(seconds)), "second");
}

const several = (number: number, unit: string) => `${number.toLocaleString()} ${unit}${number === 1 ? "" : "s"}`;

/** "3 hours ago", "just now" */
export function ago(time: string, now = Date.now()): string {
  const seconds = (now - Date.parse(time)) / 1000;
  return seconds < 60 ? "just now" : `${span(seconds)} ago`;
}
