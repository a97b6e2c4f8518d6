/**
 * Addresses as people type and paste them: alone, with names, in lists parted by commas, semicolons or line ends.
 *
 * What is no address is kept as typed, so that it can be shown and mended; `isAddress` tells the two apart. Domains in letters
 * of other scripts become their ASCII form (RFC 5891), local parts stay ASCII.
 */
import { plainLine, type Person } from "./envelope";

const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/i;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
const MOST_PASTED = 64 * 1024;
const MOST_PIECES = 500;

/** Whether mail can be sent to it (RFC 5321, 4.1.2 and 4.5.3.1, without quoted local parts). */
export function isAddress(address: string): boolean {
  const at = address.lastIndexOf("@");
  const local = address.slice(0, Math.max(0, at));
  const labels = address.slice(at + 1).split(".");
  if (at < 1 || address.length > 254 || local.length > 64 || !LOCAL.test(local)) return false;
  return labels.length > 1 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? "");
}

/** What two addresses have in common when they are the same one. */
export function addressKey(address: string): string {
  return address.trim().toLowerCase();
}

export function domainOf(address: string): string {
  return addressKey(address).slice(address.trim().lastIndexOf("@") + 1);
}

export function parseAddresses(text: string): Person[] {
  return piecesOf(text.slice(0, MOST_PASTED)).flatMap(wordsOf).slice(0, MOST_PIECES).map(personOf);
}

/** `people` with what `text` says added; who is there already is not added again. */
export function addPeople(people: Person[], added: Person[]): Person[] {
  const known = new Set(people.map((one) => addressKey(one.address)));
  const fresh = added.filter((one) => {
    const key = addressKey(one.address);
    if (key === "" || known.has(key)) return false;
    known.add(key);
    return true;
  });
  return [...people, ...fresh];
}

export function showPerson({ name, address }: Person): string {
  return name ? `${name} <${address}>` : address;
}

/** Cuts at commas, semicolons and line ends that stand neither in quotes nor in angle brackets. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let piece = "";
  let quoted = false;
  let angled = false;
  for (const character of text) {
    if (character === "\n" || character === "\r") quoted = angled = false;
    if (character === '"' && !angled) quoted = !quoted;
    else if (character === "<" && !quoted) angled = true;
    else if (character === ">") angled = false;
    if (/[,;\r\n]/.test(character) && !quoted && !angled) {
      pieces.push(piece);
      piece = "";
    } else piece += character;
  }
  pieces.push(piece);
  return pieces.map((one) => one.trim()).filter((one) => one !== "");
}

/** "a@b.example c@d.example" is two. */
function wordsOf(piece: string): string[] {
  if (piece.includes("<") || piece.includes('"')) return [piece];
  const words = piece.split(/\s+/);
  return words.length > 1 && words.every((word) => word.includes("@")) ? words : [piece];
}

function personOf(piece: string): Person {
  const found = /^(.*?)<([^<>]*)>?\s*$/s.exec(piece);
  if (!found) return { name: "", address: tidy(piece) };
  const name = plainLine(
    (found[1] ?? "")
      .trim()
      .replace(/^"(.*)"$/s, "$1")
      .replace(/\\(.)/g, "$1"),
  );
  return { name: name.slice(0, 200), address: tidy(found[2] ?? "") };
}

function tidy(address: string): string {
  const plain = plainLine(address)
    .replace(/^mailto:/i, "")
    .replace(/\?.*$/, "")
    .trim();
  const at = plain.lastIndexOf("@");
  if (at < 1 || /^[\0-\x7f]*$/.test(plain.slice(at))) return plain;
  try {
    return plain.slice(0, at + 1) + new URL(`http://${plain.slice(at + 1)}`).hostname;
  } catch {
    return plain;
  }
}
