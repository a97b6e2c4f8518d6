/** A mail that is being written, as the composer hands it to the vault worker, and what goes on from there. */
import { addressKey } from "./address";
import type { Person } from "./envelope";

export interface Enclosure {
  name: string;
  type: string;
  /** A file of the user's, or bytes of a mail: read when the mail is built, in the worker. */
  content: Blob;
}

export interface Letter {
  from: Person;
  to: Person[];
  cc: Person[];
  bcc: Person[];
  subject: string;
  text: string;
  enclosures: Enclosure[];
  /** RFC 3339 */
  date: string;
  /** with its angle brackets, as are the following two */
  messageId: string;
  inReplyTo: string;
  references: string[];
}

/** What only the writer's own copy says. */
export interface OwnNotes {
  /** the stored message that this one answers or passes on, and which of the two */
  answers: string;
  /** who has got it already, of a mail that could not be sent to everybody */
  sentTo: string[];
}

export const NO_NOTES: OwnNotes = { answers: "", sentTo: [] };

export function recipientsOf({ to, cc, bcc }: Pick<Letter, "to" | "cc" | "bcc">): Person[] {
  const all = new Map<string, Person>();
  for (const one of [...to, ...cc, ...bcc])
    if (!all.has(addressKey(one.address))) all.set(addressKey(one.address), one);
  return [...all.values()];
}

export function newMessageId(from: string): string {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(18)), (byte) => byte.toString(36).padStart(2, "0"));
  return `<${random.join("")}@${from.slice(from.lastIndexOf("@") + 1)}>`;
}

const BASE64_GROWTH = 78 / 57;

/** Bytes of the mail as it will be built, within a few hundred. */
export function estimatedBytes(text: string, sizes: number[]): number {
  return sizes.reduce((sum, size) => sum + size * BASE64_GROWTH + 400, 2_000 + text.length * 1.2);
}
