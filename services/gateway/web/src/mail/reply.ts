/** Answers and forwards: who they go to, what they are called, what they quote. */
import { longTime } from "../lib/format";
import { addPeople, addressKey, showPerson } from "./address";
import type { MailView } from "./decode";
import type { Person } from "./envelope";
import { quote } from "./flowed";

export type ReplyKind = "reply" | "all" | "forward";

export interface Beginning {
  to: Person[];
  cc: Person[];
  subject: string;
  /** what stands below the writer's own words */
  below: string;
  inReplyTo: string;
  references: string[];
}

const MOST_REFERENCES = 20;

/** @param own the writer's address: nobody answers himself, unless he wrote the mail to begin with */
export function beginningOf(kind: ReplyKind, view: MailView, text: string, own: string): Beginning {
  if (kind === "forward")
    return { to: [], cc: [], subject: prefixed("Fwd", view.subject), below: forwarded(view, text), ...NO_THREAD };
  const id = /^<[^<>\s]{3,250}>$/.test(view.messageId) ? view.messageId : "";
  return {
    ...answerTo(kind, view, own),
    subject: prefixed("Re", view.subject),
    below: `${wrote(view)}\n${quote(text)}`,
    inReplyTo: id,
    references: id ? [...view.references.filter((one) => one !== id), id].slice(-MOST_REFERENCES) : [],
  };
}

const NO_THREAD = { inReplyTo: "", references: [] };

function answerTo(kind: ReplyKind, view: MailView, own: string): { to: Person[]; cc: Person[] } {
  const me = addressKey(own);
  const others = (people: Person[]) => people.filter((one) => addressKey(one.address) !== me && one.address !== "");
  const writer = view.replyTo.length > 0 ? view.replyTo : view.from;
  const mine = view.from.some((one) => addressKey(one.address) === me);
  const to = mine && others(view.to).length > 0 ? others(view.to) : addPeople([], writer);
  if (kind === "reply") return { to, cc: [] };
  const all = mine ? to : addPeople(to, others(view.to));
  return { to: all, cc: addPeople(all, others(view.cc)).slice(all.length) };
}

function prefixed(prefix: "Re" | "Fwd", subject: string): string {
  const there = prefix === "Re" ? /^(re|aw|antw|sv|vs|odp)(\[\d+\])?\s*:/i : /^(fwd?|wg|tr|rv)\s*:/i;
  return there.test(subject) ? subject : `${prefix}: ${subject}`.trim();
}

function wrote(view: MailView): string {
  const who = view.from[0]?.name || view.from[0]?.address || "somebody";
  return view.date ? `On ${longTime(new Date(view.date))}, ${who} wrote:` : `${who} wrote:`;
}

function forwarded(view: MailView, text: string): string {
  const people = (label: string, list: Person[]) =>
    list.length > 0 ? [`${label}: ${list.map(showPerson).join(", ")}`] : [];
  return [
    "---------- Forwarded message ----------",
    ...people("From", view.from),
    ...(view.date ? [`Date: ${longTime(new Date(view.date))}`] : []),
    `Subject: ${view.subject}`,
    ...people("To", view.to),
    ...people("Cc", view.cc),
    "",
    text.trimEnd(),
  ].join("\n");
}

/** The text of a mail as it is quoted: what it says as text, else its HTML without the markup. */
export function quotableText(view: MailView, fromHtml: (html: string) => string): string {
  return view.blocks
    .map((block) => block.text ?? (block.html === null ? "" : fromHtml(block.html)))
    .map((text) => text.trimEnd())
    .filter((text) => text !== "")
    .join("\n\n");
}
