/** How mail to one recipient travels, in a word, a sentence and a sign: never in a colour alone. */
import { isAddress, addressKey } from "../mail/address";
import type { Person } from "../mail/envelope";
import { book } from "../state/keeping";
import { routes, type Route } from "../state/recipients";
import type { IconName } from "./icon";

export type Standing =
  "member" | "wkd" | "new-key" | "public" | "open" | "unknown" | "looking" | "failed" | "wrong" | "delivered";

interface Described {
  icon: IconName;
  word: string;
  sentence: string;
  tone: "sealed" | "open" | "bad" | "";
}

export const STANDINGS: Record<Standing, Described> = {
  member: { icon: "lock", word: "sealed", sentence: "Sealed: only they can read it.", tone: "sealed" },
  wkd: {
    icon: "lock",
    word: "sealed",
    sentence: "Sealed to the key that their domain publishes: only they can read it.",
    tone: "sealed",
  },
  "new-key": {
    icon: "key",
    word: "sealed, new key",
    sentence: "Sealed, but to another key than last time. Ask them whether it is theirs.",
    tone: "open",
  },
  public: {
    icon: "globe",
    word: "public",
    sentence: "A public inbox: anybody can read what arrives there.",
    tone: "open",
  },
  open: {
    icon: "lockOpen",
    word: "open",
    sentence: "It travels openly: mail servers on the way can read it.",
    tone: "open",
  },
  unknown: { icon: "warning", word: "no such address", sentence: "Nobody has this address.", tone: "bad" },
  looking: { icon: "clock", word: "looking", sentence: "Finding out how mail to them travels.", tone: "" },
  failed: {
    icon: "warning",
    word: "not known",
    sentence: "It could not be found out how mail to them travels.",
    tone: "",
  },
  wrong: { icon: "warning", word: "no address", sentence: "This is not an address.", tone: "bad" },
  delivered: { icon: "check", word: "has it", sentence: "They have got it already.", tone: "sealed" },
};

export function standingOf({ address }: Person, delivered: ReadonlySet<string>): Standing {
  if (!isAddress(address)) return "wrong";
  if (delivered.has(addressKey(address))) return "delivered";
  const route = routes.value.get(addressKey(address));
  const standing = standingOfRoute(route);
  const sealed = standing === "member" || standing === "wkd";
  return sealed && isNewKey(address, route) ? "new-key" : standing;
}

/** The directory is run by others: that it names another key than before is told. */
function isNewKey(address: string, route: Route | undefined): boolean {
  const known = book.value?.contacts.find((one) => addressKey(one.address) === addressKey(address))?.key ?? "";
  const now = typeof route === "object" ? (route.fingerprint ?? "") : "";
  return known !== "" && now !== "" && known !== now;
}

/** A member or a WKD recipient without a certificate cannot be sealed to: that is open, whatever it is called. */
export function standingOfRoute(route: Route | undefined): Standing {
  if (route === undefined || route === "looking") return "looking";
  if (route === "failed") return "failed";
  const sealable = route.kind === "member" || route.kind === "wkd";
  return sealable && !route.certificate ? "open" : route.kind;
}

interface Summary {
  icon: IconName;
  text: string;
  tone: Described["tone"];
}

const NEW_KEY = "Sealed to another key than last time: ask them whether it is theirs before you write what matters.";

/** What stands about all recipients in one place; null where there is none. */
export function summaryOf(standings: Standing[]): Summary | null {
  const count = (...which: Standing[]) => standings.filter((one) => which.includes(one)).length;
  const all = standings.length;
  if (all === 0) return null;
  const hindrance = hindranceOf(count);
  if (hindrance) return hindrance;
  const [open, publics, changed] = [count("open"), count("public"), count("new-key")];
  if (open + publics + changed === 0) {
    const who = all === 1 ? "Sealed" : `Sealed for all ${all}`;
    return { icon: "lock", tone: "sealed", text: `${who}: only they and you can read it.` };
  }
  const share = (some: number) => (some === all ? "" : ` for ${some} of ${all}`);
  const words = [
    open > 0 && `Travels openly${share(open)}.`,
    publics > 0 && `Lands in a public inbox${share(publics)}.`,
    changed > 0 && NEW_KEY,
  ];
  const icon = open > 0 ? "lockOpen" : publics > 0 ? "globe" : "key";
  return { icon, tone: "open", text: words.filter(Boolean).join(" ") };
}

function hindranceOf(count: (...which: Standing[]) => number): Summary | null {
  const bad = count("unknown", "wrong");
  if (bad > 0) {
    const text = bad === 1 ? "One recipient cannot be written to." : `${bad} recipients cannot be written to.`;
    return { icon: "warning", tone: "bad", text };
  }
  if (count("looking") > 0) return { icon: "clock", tone: "", text: "Finding out how it travels…" };
  if (count("failed") === 0) return null;
  const text = "It could not be found out how it travels; it is tried again when you send.";
  return { icon: "warning", tone: "", text };
}
