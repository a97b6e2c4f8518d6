/**
 * Where a link really goes, told before it is opened: the host in its ASCII form, with marks for what is used to deceive.
 *
 * A host of several scripts is marked (Unicode TR 39, "highly restrictive": Latin may stand with the scripts of Chinese,
 * Japanese or Korean), and so is one whose letters all look like Latin ones.
 */
import { hostToUnicode } from "./punycode";

export type Mark = "mixed-script" | "look-alike" | "other-host" | "ip-address" | "user-info" | "port";

export interface Target {
  url: string;
  /** "web" or "mail" */
  kind: "web" | "mail";
  /** Host in ASCII (punycode), or the address of a mailto: link. */
  host: string;
  /** The host in its own letters where they differ. */
  unicodeHost: string;
  marks: Mark[];
}

export const MARK_TEXT: Record<Mark, string> = {
  "mixed-script": "The name of this site mixes letters of several alphabets, as imitations do.",
  "look-alike": "The name of this site is written in letters that look like Latin ones but are not.",
  "other-host": "The text of the link names another site than the one it opens.",
  "ip-address": "The link goes to a bare number instead of a named site.",
  "user-info": "The link puts a name in front of the site so that it looks like another one.",
  port: "The link uses an unusual port.",
};

const SCRIPTS = [
  "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil",
  "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Georgian", "Hangul", "Ethiopic",
  "Cherokee", "Canadian_Aboriginal", "Khmer", "Mongolian", "Hiragana", "Katakana", "Bopomofo", "Han", "Yi", "Lisu", "Coptic",
] as const; // prettier-ignore
const TESTS = SCRIPTS.map((script) => [script, new RegExp(`\\p{Script=${script}}`, "u")] as const);
const TOGETHER = [
  new Set(["Latin", "Han", "Hiragana", "Katakana"]),
  new Set(["Latin", "Han", "Bopomofo"]),
  new Set(["Latin", "Han", "Hangul"]),
];
// Letters of other alphabets that can be taken for Latin ones.
const LOOK_ALIKE = /^[аеорсухіјѕһӏԁԛԝѵꜱɑɡɩοανικυρτχωγэтнмвкпгьճօսոցհյ0-9ʻ’-]+$/u;

/** Reads an address as found in a mail; null for what must not be a link. `text` is what the link shows. */
export function readTarget(href: string, text = ""): Target | null {
  const trimmed = href.replace(/[\0-\x20]+/g, (run) => (run.includes(" ") ? " " : "")).trim();
  if (!/^(https?:\/\/|mailto:)/i.test(trimmed) || trimmed.length > 8192) return null;
  const url = parseUrl(trimmed);
  if (!url) return null;
  if (url.protocol === "mailto:") {
    const host = safeDecode(url.pathname);
    return { url: url.href, kind: "mail", host, unicodeHost: "", marks: [] };
  }
  const unicode = hostToUnicode(url.hostname);
  return {
    url: url.href,
    kind: "web",
    host: url.hostname,
    unicodeHost: unicode === url.hostname ? "" : unicode,
    marks: marksOf(url, unicode, text),
  };
}

function marksOf(url: URL, unicode: string, text: string): Mark[] {
  const marks: Mark[] = [];
  const labels = unicode.split(".");
  if (labels.some(mixesScripts) || (/[^\0-\x7f]/.test(unicode) === false && /(^|\.)xn--/.test(unicode))) {
    marks.push("mixed-script");
  }
  if (labels.some((label) => /[^\0-\x7f]/.test(label) && LOOK_ALIKE.test(label))) marks.push("look-alike");
  if (namesOtherHost(url.hostname, text)) marks.push("other-host");
  if (/^[\d.]+$|^\[/.test(url.hostname)) marks.push("ip-address");
  if (url.username || url.password) marks.push("user-info");
  if (url.port) marks.push("port");
  return marks;
}

/** Whether a label's letters come from scripts that do not belong together. */
export function mixesScripts(label: string): boolean {
  const found = new Set<string>();
  for (const character of label) {
    const script = TESTS.find(([, test]) => test.test(character))?.[0];
    if (script) found.add(script);
  }
  if (found.size < 2) return false;
  return !TOGETHER.some((family) => [...found].every((script) => family.has(script)));
}

/** Whether the text of a link looks like an address and its host is not the one the link opens. */
function namesOtherHost(host: string, text: string): boolean {
  const shown = /^\s*(?:https?:\/\/)?([\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)(?=[\s/?#:]|$)/iu.exec(text)?.[1];
  if (!shown || !/\.\p{L}{2,}$/u.test(shown)) return false;
  const named = parseUrl("https://" + shown)?.hostname;
  if (!named) return false;
  const bare = (name: string) => name.replace(/^www\./, "");
  return bare(named) !== bare(host);
}

function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
