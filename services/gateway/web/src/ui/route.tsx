/** How mail to one recipient travels, in a word, a sentence and a sign: never in a colour alone. */
import { isAddress, addressKey } from "../mail/address";
import type { Person } from "../mail/envelope";
import { routes, type Route } from "../state/recipients";
import type { IconName } from "./icon";

export type Standing = "member" | "wkd" | "public" | "open" | "unknown" | "looking" | "failed" | "wrong" | "delivered";

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
  return standingOfRoute(routes.value.get(addressKey(address)));
}

/** A member or a WKD recipient without a certificate cannot be sealed to: that is open, whatever it is called. */
export function standingOfRoute(route: Route | undefined): Standing {
  if (route === undefined || route === "looking") return "looking";
  if (route === "failed") return "failed";
  const sealable = route.kind === "member" || route.kind === "wkd";
  return sealable && !route.certificate ? "open" : route.kind;
}

/** One sentence about all recipients. */
export function summaryOf(standings: Standing[]): { icon: IconName; text: string; tone: Described["tone"] } | null {
  const count = (...which: Standing[]) => standings.filter((one) => which.includes(one)).length;
  const all = standings.length;
  if (all === 0) return null;
  const bad = count("unknown", "wrong");
  if (bad > 0)
    return {
      icon: "warning",
      tone: "bad",
      text: bad === 1 ? "One recipient cannot be written to." : `${bad} recipients cannot be written to.`,
    };
  if (count("looking") > 0) return { icon: "clock", tone: "", text: "Finding out how it travels…" };
  if (count("failed") > 0)
    return {
      icon: "warning",
      tone: "",
      text: "It could not be found out how it travels; it is tried again when you send.",
    };
  const [open, publics] = [count("open"), count("public")];
  if (open + publics === 0) {
    const text =
      all === 1 ? "Sealed: only they and you can read it." : `Sealed for all ${all}: only they and you can read it.`;
    return { icon: "lock", tone: "sealed", text };
  }
  const share = (some: number) => (some === all ? "" : ` for ${some} of ${all}`);
  const words = [
    open > 0 && `Travels openly${share(open)}.`,
    publics > 0 && `Lands in a public inbox${share(publics)}.`,
  ];
  return { icon: open > 0 ? "lockOpen" : "globe", tone: "open", text: words.filter(Boolean).join(" ") };
}
