/**
 * The envelope: what a list shows of a mail (docs/architecture.md, "Envelope"). It was written by the server but tells what a
 * stranger sent, so every field is checked for type and cut to its limit; a field of another type becomes empty.
 */
import { utf8, type Bytes } from "../lib/encoding";
import type { Letter } from "./letter";

export interface Person {
  name: string;
  address: string;
}

export interface AttachmentNote {
  name: string;
  type: string;
  size: number;
}

export interface Authentication {
  spf: string;
  dkim: string;
  dmarc: string;
}

export interface Envelope {
  from: Person;
  to: Person[];
  cc: Person[];
  rcpt: string;
  subject: string;
  date: string;
  preview: string;
  attachments: AttachmentNote[];
  messageId: string;
  auth: Authentication;
  encrypted: boolean;
  unparsed: boolean;
  /** Made and signed by its sender: nobody but the signature says who that is. */
  bySender: boolean;
}

export class BadEnvelope extends Error {
  readonly reason = "envelope_invalid";
}

const MOST_BYTES = 64 * 1024;
const MOST_ENTRIES = 50;
const MOST_CHARACTERS = 500;
// Control characters, and those that turn the direction of the text around.
const UNSHOWN = /[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]+/g;

/** @throws BadEnvelope for anything but a JSON object of version 1 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > MOST_BYTES) throw new BadEnvelope();
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new BadEnvelope();
  }
  return readEnvelope(value);
}

/** @throws BadEnvelope */
export function readEnvelope(value: unknown): Envelope {
  if (!isRecord(value) || value["v"] !== 1) throw new BadEnvelope();
  const auth = isRecord(value["auth"]) ? value["auth"] : {};
  return {
    from: person(value["from"]),
    to: list(value["to"]).map(person),
    cc: list(value["cc"]).map(person),
    rcpt: text(value["rcpt"]),
    subject: text(value["subject"]),
    date: text(value["date"]),
    preview: text(value["preview"]),
    attachments: list(value["attachments"]).map(attachment),
    messageId: text(value["message_id"]),
    auth: { spf: word(auth["spf"]), dkim: word(auth["dkim"]), dmarc: word(auth["dmarc"]) },
    encrypted: value["encrypted"] === true,
    unparsed: value["unparsed"] === true,
    bySender: value["sealed_by_sender"] === true,
  };
}

const MOST_WRITTEN = 12 * 1024;
const PREVIEW = 200;

/** The envelope of a mail that is sealed here: what its reader's list shows. Long lists are cut until it fits. */
export function writeEnvelope(letter: Letter, rcpt: string): Bytes {
  const none = { spf: "none", dkim: "none", dmarc: "none" };
  for (let entries = MOST_ENTRIES; ; entries = Math.floor(entries / 2)) {
    const value = {
      v: 1,
      from: letter.from,
      to: letter.to.slice(0, entries),
      cc: letter.cc.slice(0, entries),
      rcpt,
      subject: plainLine(letter.subject.slice(0, MOST_CHARACTERS)),
      date: letter.date,
      preview: previewOf(letter.text),
      attachments: letter.enclosures
        .slice(0, entries)
        .map(({ name, type, content }) => ({ name: name.slice(0, 200), type: type.slice(0, 100), size: content.size })),
      message_id: letter.messageId,
      auth: none,
      encrypted: false,
      sealed_by_sender: true,
    };
    const bytes = utf8(JSON.stringify(value));
    if (bytes.length <= MOST_WRITTEN || entries === 0) return bytes;
  }
}

/** The beginning of what the writer said, without what is quoted. */
function previewOf(text: string): string {
  const said = text.split("\n").filter((line) => !line.startsWith(">"));
  return plainLine(said.join(" ").replace(/\s+/g, " ").slice(0, PREVIEW));
}

/** Text fit for one line of the page: no control characters, nothing that reorders what stands around it. */
export function plainLine(value: string): string {
  return value.replace(UNSHOWN, " ").trim();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value.slice(0, MOST_ENTRIES) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? plainLine(value.slice(0, MOST_CHARACTERS)) : "";
}

function word(value: unknown): string {
  return typeof value === "string" && /^[a-z]{1,12}$/.test(value) ? value : "none";
}

function person(value: unknown): Person {
  return isRecord(value) ? { name: text(value["name"]), address: text(value["address"]) } : { name: "", address: "" };
}

function attachment(value: unknown): AttachmentNote {
  const record = isRecord(value) ? value : {};
  const size = record["size"];
  const bytes = typeof size === "number" && Number.isFinite(size) && size >= 0 ? size : 0;
  return { name: text(record["name"]), type: text(record["type"]), size: bytes };
}
