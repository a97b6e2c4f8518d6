/** From a message that is open to the beginning of an answer: recipients, subject, quotation, enclosures. */
import { htmlToText } from "../mail/html-text";
import type { Enclosure } from "../mail/letter";
import { beginningOf, quotableText, type ReplyKind } from "../mail/reply";
import { asSentence } from "../api/http";
import type { Row } from "./list";
import type { OpenedMessage } from "./opening";
import { account } from "./session";
import { toast } from "./toast";
import { write } from "./write";

export async function answer(kind: ReplyKind, row: Row, opened: OpenedMessage): Promise<void> {
  const { view } = opened.mail;
  // An inner layer may bring no header of its own; the envelope then says who.
  const whole = view.from.length > 0 || !row.envelope ? view : { ...view, ...headOf(row) };
  const own = account.value?.address ?? "";
  const { below, ...start } = beginningOf(kind, whole, quotableText(view, htmlToText), own);
  try {
    const attachments = kind === "forward" ? await enclosuresOf(opened) : [];
    const answers = `${row.id} ${kind === "forward" ? "forward" : "reply"}`;
    const quotesSealed = opened.check !== null && opened.check.how !== "signed" && below.includes("\n");
    await write({ ...start, text: below, attachments, answers, quotesSealed });
  } catch (error) {
    toast(asSentence(error), { kind: "error" });
  }
}

function headOf(row: Row) {
  const { from, to, cc, subject, date, messageId } = row.envelope!;
  return { from: [from], to, cc, subject, date, messageId };
}

async function enclosuresOf({ mail }: OpenedMessage): Promise<Enclosure[]> {
  const enclosures: Enclosure[] = [];
  for (const part of mail.view.parts) {
    const name = part.name || (part.type === "message/rfc822" ? "message.eml" : "attachment");
    enclosures.push({ name, type: part.type, content: new Blob([await mail.content(part)]) });
  }
  return enclosures;
}
