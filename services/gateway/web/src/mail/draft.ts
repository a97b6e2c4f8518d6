/** A draft that was kept, read back into what the composer edits: the other direction of build.ts. */
import type { MailView } from "./decode";
import type { Person } from "./envelope";
import type { OwnNotes } from "./letter";

export interface Draft {
  to: Person[];
  cc: Person[];
  bcc: Person[];
  subject: string;
  text: string;
  messageId: string;
  inReplyTo: string;
  references: string[];
  notes: OwnNotes;
}

export function draftOf(view: MailView): Draft {
  const field = (name: string) => view.fields.find((one) => one.name.toLowerCase() === name)?.value ?? "";
  return {
    to: view.to.map(asTyped),
    cc: view.cc.map(asTyped),
    bcc: view.bcc.map(asTyped),
    subject: view.subject,
    text: view.blocks
      .map((block) => block.text ?? "")
      .join("\n")
      .replace(/\n$/, ""),
    messageId: /^<[^<>\s]{3,250}>$/.test(view.messageId) ? view.messageId : "",
    inReplyTo: view.inReplyTo,
    references: view.references,
    notes: {
      answers: /^[0-9a-f]{32} (reply|forward)$/.exec(field("x-sealpost-answers"))?.[0] ?? "",
      sentTo: field("x-sealpost-sent-to")
        .split(/\s+/)
        .filter((one) => one.includes("@"))
        .slice(0, 500),
    },
  };
}

/** What was no address yet comes back as a name alone. */
function asTyped({ name, address }: Person): Person {
  return address === "" ? { name: "", address: name } : { name, address };
}
