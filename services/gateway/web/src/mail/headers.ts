/**
 * Header fields of a mail, written: RFC 5322 folding, RFC 2047 encoded words, RFC 2231 parameters.
 *
 * Everything that comes in is text of a user; control characters become spaces first, so that no value can ever begin a field
 * of its own.
 */
import { toBase64, utf8 } from "../lib/encoding";
import type { Person } from "./envelope";

const LINE = 76;
// 45 bytes are 60 characters of base64; with its marks an encoded word has 72 of the 75 allowed.
const WORD_BYTES = 45;
const LONGEST_PLAIN_WORD = 200;

/** An unstructured field ("Subject"), with its line end. */
export function textField(name: string, value: string): string {
  const text = clean(value);
  return foldWords(name, isPlain(text) ? text.split(" ") : encodedWords(text));
}

/** A field whose words must stay as they are ("References"). */
export function tokenField(name: string, tokens: string[]): string {
  return foldWords(name, tokens.map(clean).filter(Boolean));
}

/** A field of addresses; "" for none. */
export function peopleField(name: string, people: Person[]): string {
  if (people.length === 0) return "";
  const last = people.length - 1;
  const words = people.flatMap((one, i) => {
    const all = mailbox(one);
    return i < last ? [...all.slice(0, -1), `${all.at(-1)},`] : all;
  });
  return foldWords(name, words);
}

/** `; name=value` for a Content-Type or Content-Disposition, on lines of their own. */
export function parameter(name: string, value: string): string {
  const text = clean(value);
  if (/^[\x20-\x7e]{0,60}$/.test(text) && !/["\\]/.test(text)) return `;\r\n ${name}="${text}"`;
  const pieces = percentPieces(text, LINE - name.length - 12);
  if (pieces.length === 1) return `;\r\n ${name}*=UTF-8''${pieces[0]}`;
  return pieces.map((piece, i) => `;\r\n ${name}*${i}*=${i === 0 ? "UTF-8''" : ""}${piece}`).join("");
}

/** Date and time as RFC 5322 has it, in UTC: where the sender is, is nobody's business. */
export function mailDate(time: Date): string {
  return time.toUTCString().replace(/GMT$/, "+0000");
}

function mailbox({ name, address }: Person): string[] {
  const spec = clean(address).replace(/[<>\s]/g, "");
  const text = clean(name);
  if (text === "") return [spec];
  return [...phrase(text), `<${spec}>`];
}

function phrase(text: string): string[] {
  if (!isPlain(text)) return encodedWords(text);
  if (/^[\w !#$%&'*+/=?^`{|}~-]*$/.test(text)) return text.split(" ");
  return `"${text.replace(/["\\]/g, "\\$&")}"`.split(" ");
}

function clean(text: string): string {
  return text.replace(/[\0-\x1f\x7f]+/g, " ").trim();
}

function isPlain(text: string): boolean {
  return (
    /^[\x20-\x7e]*$/.test(text) && !text.includes("=?") && text.split(" ").every((w) => w.length < LONGEST_PLAIN_WORD)
  );
}

/** Whole characters only in each word (RFC 2047, section 5). */
function encodedWords(text: string): string[] {
  const words: string[] = [];
  let held = "";
  for (const character of text) {
    if (utf8(held + character).length > WORD_BYTES) {
      words.push(held);
      held = "";
    }
    held += character;
  }
  return [...words, held].map((word) => `=?UTF-8?B?${toBase64(utf8(word))}?=`);
}

function foldWords(name: string, words: string[]): string {
  let out = `${name}:`;
  let column = out.length;
  let onLine = 0;
  for (const word of words) {
    // A line of blanks alone would end the header for some readers: several blanks in a row stay on one line.
    if (column + 1 + word.length > LINE && onLine > 0 && word !== "") {
      out += "\r\n";
      column = 0;
      onLine = 0;
    }
    out += ` ${word}`;
    column += 1 + word.length;
    if (word !== "") onLine++;
  }
  return out + "\r\n";
}

function percentPieces(text: string, length: number): string[] {
  const pieces: string[] = [];
  let held = "";
  for (const character of text) {
    const encoded = Array.from(utf8(character), (byte) =>
      /[A-Za-z0-9._-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : percent(byte),
    ).join("");
    if (held.length + encoded.length > length) {
      pieces.push(held);
      held = "";
    }
    held += encoded;
  }
  return [...pieces, held];
}

function percent(byte: number): string {
  return "%" + byte.toString(16).toUpperCase().padStart(2, "0");
}
