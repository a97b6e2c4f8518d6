/**
 * Builds the mail itself: RFC 5322 header, text as format=flowed, enclosures in base64, CRLF, no line above 998 characters.
 *
 * A small writer of our own: the known libraries are made for Node.js, or leave line lengths and parameters of other scripts
 * to luck. It writes what it was given and nothing about who or where the writer is: no time zone, no program, no host name.
 */
import { fromBinaryText, utf8, type Bytes } from "../lib/encoding";
import { toFlowed } from "./flowed";
import { mailDate, parameter, peopleField, textField, tokenField } from "./headers";
import type { Enclosure, Letter, OwnNotes } from "./letter";
import { safeFileName } from "./filename";

const ALPHABET = fromBinaryText("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PER_LINE = 57;
const LONGEST_LINE = 990;

/** A part: the fields that describe its content, and the content, in pieces. */
interface Entity {
  fields: string;
  body: Bytes[];
}

/** The mail for its recipients; `own`: for the writer alone, with Bcc and the notes. */
export async function buildMail(letter: Letter, own: OwnNotes | null = null): Promise<Bytes> {
  const entity = await entityOf(letter, "");
  const notes = own ? ownFields(letter, own) : "";
  return join([
    utf8(headOf(letter, letter.subject) + notes + "MIME-Version: 1.0\r\n" + entity.fields + "\r\n"),
    ...entity.body,
  ]);
}

/** The part that PGP/MIME encrypts: the content, and a copy of the header that nobody on the way can change or read. */
export async function buildProtected(letter: Letter): Promise<Bytes> {
  const entity = await entityOf(letter, '; protected-headers="v1"');
  return join([utf8(headOf(letter, letter.subject) + entity.fields + "\r\n"), ...entity.body]);
}

/** The mail around an armoured message (RFC 3156, section 4); its subject is inside. */
export function wrapEncrypted(letter: Letter, armored: string): Bytes {
  const boundary = newBoundary();
  const lines = [
    `MIME-Version: 1.0`,
    `Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="${boundary}"`,
    ``,
    `--${boundary}`,
    `Content-Type: application/pgp-encrypted`,
    ``,
    `Version: 1`,
    ``,
    `--${boundary}`,
    `Content-Type: application/octet-stream; name="encrypted.asc"`,
    `Content-Disposition: inline; filename="encrypted.asc"`,
    ``,
    armored.replace(/\r?\n/g, "\r\n").trimEnd(),
    ``,
    `--${boundary}--`,
    ``,
  ];
  return utf8(headOf(letter, "...") + lines.join("\r\n"));
}

function headOf(letter: Letter, subject: string): string {
  return [
    `Date: ${mailDate(new Date(letter.date))}\r\n`,
    peopleField("From", [letter.from]),
    peopleField("To", letter.to),
    peopleField("Cc", letter.cc),
    subject === "" ? "" : textField("Subject", subject),
    tokenField("Message-ID", [letter.messageId]),
    letter.inReplyTo && tokenField("In-Reply-To", [letter.inReplyTo]),
    letter.references.length > 0 && tokenField("References", letter.references),
  ]
    .filter(Boolean)
    .join("");
}

function ownFields(letter: Letter, own: OwnNotes): string {
  return [
    peopleField("Bcc", letter.bcc),
    own.answers && tokenField("X-Sealpost-Answers", own.answers.split(" ")),
    own.sentTo.length > 0 && tokenField("X-Sealpost-Sent-To", own.sentTo),
  ]
    .filter(Boolean)
    .join("");
}

/** @param mark a parameter of the outermost Content-Type */
async function entityOf(letter: Letter, mark: string): Promise<Entity> {
  if (letter.enclosures.length === 0) return textEntity(letter.text, mark);
  const boundary = newBoundary();
  const body: Bytes[] = [];
  const parts = [textEntity(letter.text, ""), ...letter.enclosures];
  for (const part of parts) {
    const entity = "body" in part ? part : await enclosureEntity(part);
    body.push(utf8(`--${boundary}\r\n${entity.fields}\r\n`), ...entity.body, utf8("\r\n"));
  }
  body.push(utf8(`--${boundary}--\r\n`));
  return { fields: `Content-Type: multipart/mixed${mark};\r\n boundary="${boundary}"\r\n`, body };
}

function textEntity(text: string, mark: string): Entity {
  const flowed = toFlowed(text);
  const bytes = utf8(flowed);
  const plain =
    /^[\t\r\n\x20-\x7e]*$/.test(flowed) && flowed.split("\r\n").every((line) => line.length <= LONGEST_LINE);
  const fields = [
    `Content-Type: text/plain; charset=utf-8; format=flowed${mark}\r\n`,
    `Content-Transfer-Encoding: ${plain ? "7bit" : "quoted-printable"}\r\n`,
  ];
  return { fields: fields.join(""), body: [plain ? bytes : utf8(quotedPrintable(flowed))] };
}

async function enclosureEntity(enclosure: Enclosure): Promise<Entity> {
  // A mail or a multipart may not be in base64 (RFC 2046, 5.2.1); as plain bytes it may.
  const known = /^(?!message\/|multipart\/)[a-z0-9.+-]+\/[a-z0-9.+-]+$/i.test(enclosure.type);
  const fields = [
    `Content-Type: ${known ? enclosure.type.toLowerCase() : "application/octet-stream"}\r\n`,
    `Content-Transfer-Encoding: base64\r\n`,
    `Content-Disposition: attachment${parameter("filename", safeFileName(enclosure.name))}\r\n`,
  ];
  const content = await readAll(enclosure.content);
  return { fields: fields.join(""), body: [base64Lines(content)] };
}

class NotRead extends Error {
  readonly reason = "not_read";
}

/** @throws NotRead for a file that is no more, or another by now */
async function readAll(content: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await content.arrayBuffer());
  } catch {
    throw new NotRead();
  }
}

/** Base64 in lines of 76 characters, without an end of line after the last one. */
export function base64Lines(bytes: Uint8Array): Bytes {
  const lines = Math.ceil(bytes.length / PER_LINE);
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4 + 2 * Math.max(0, lines - 1));
  let to = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    if (at > 0 && at % PER_LINE === 0) {
      out[to++] = 13;
      out[to++] = 10;
    }
    const left = bytes.length - at;
    const group = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    out[to++] = ALPHABET[group >> 18]!;
    out[to++] = ALPHABET[(group >> 12) & 63]!;
    out[to++] = left > 1 ? ALPHABET[(group >> 6) & 63]! : 61;
    out[to++] = left > 2 ? ALPHABET[group & 63]! : 61;
  }
  return out;
}

/** RFC 2045, 6.7; `text` has CRLF. */
export function quotedPrintable(text: string): string {
  return text.split("\r\n").map(quotedLine).join("\r\n");
}

function quotedLine(line: string): string {
  const bytes = utf8(line);
  let out = "";
  let column = 0;
  bytes.forEach((byte, i) => {
    const blank = byte === 32 || byte === 9;
    const plain = (byte >= 33 && byte <= 126 && byte !== 61) || (blank && i < bytes.length - 1);
    const piece = plain ? String.fromCharCode(byte) : "=" + byte.toString(16).toUpperCase().padStart(2, "0");
    if (column + piece.length > 75) {
      out += "=\r\n";
      column = 0;
    }
    out += piece;
    column += piece.length;
  });
  return out;
}

function newBoundary(): string {
  return "=_" + Array.from(crypto.getRandomValues(new Uint8Array(15)), (byte) => byte.toString(36)).join("");
}

function join(pieces: Bytes[]): Bytes {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
