/** The address book as a value: people one has saved, and those one wrote to lately; bounded, and read with care. */
import { addressKey, isAddress } from "./address";
import { plainLine, type Person } from "./envelope";

export interface Contact {
  name: string;
  address: string;
  note: string;
  /** put in by hand, and never dropped to make room */
  saved: boolean;
  /** times written to, and when last (milliseconds) */
  count: number;
  used: number;
  /** fingerprint of the certificate last sealed to; "" for none */
  key: string;
}

export interface Book {
  contacts: Contact[];
}

export const NO_BOOK: Book = { contacts: [] };
const MOST_RECENT = 300;
const MOST_SAVED = 1_000;
// The server keeps 256 KiB of sealed object.
const MOST_CHARACTERS = 160_000;
const MOST_NAME = 100;
const MOST_NOTE = 300;

/** What a client of another version may have written: fields of a wrong type become empty. */
export function readBook(value: unknown): Book {
  const list = (value as { contacts?: unknown } | null)?.contacts;
  const contacts = (Array.isArray(list) ? list : []).slice(0, MOST_RECENT + MOST_SAVED).flatMap((one: unknown) => {
    const record = (typeof one === "object" && one !== null ? one : {}) as Record<string, unknown>;
    const address = text(record["address"], 254);
    if (!isAddress(address)) return [];
    const { saved, count, used } = record;
    const contact: Contact = {
      name: text(record["name"], MOST_NAME),
      address,
      note: text(record["note"], MOST_NOTE),
      saved: saved === true,
      count: typeof count === "number" && count > 0 ? count : 0,
      used: typeof used === "number" && used > 0 ? used : 0,
      key: text(record["key"], 64),
    };
    return [contact];
  });
  return { contacts };
}

/** Saves one by hand; `before` is the address that it had. */
export function saveContact(book: Book, before: string, given: Pick<Contact, "name" | "address" | "note">): Book {
  const keys = new Set([addressKey(before), addressKey(given.address)]);
  const old = book.contacts.find((one) => addressKey(one.address) === addressKey(given.address));
  const rest = book.contacts.filter((one) => !keys.has(addressKey(one.address)));
  const { count = 0, used = 0, key = "" } = old ?? {};
  const name = given.name.trim().slice(0, MOST_NAME);
  const made: Contact = {
    name,
    address: given.address,
    note: given.note.trim().slice(0, MOST_NOTE),
    saved: true,
    count,
    used,
    key,
  };
  return bounded([...rest, made]);
}

export function dropContact(book: Book, address: string): Book {
  return { contacts: book.contacts.filter((one) => addressKey(one.address) !== addressKey(address)) };
}

/** Remembers who was written to, and with which key. */
export function noteWritten(book: Book, people: (Person & { key: string })[], now: number): Book {
  const contacts = new Map(book.contacts.map((one) => [addressKey(one.address), one]));
  for (const { name, address, key } of people) {
    const old = contacts.get(addressKey(address));
    const { note = "", saved = false, count = 0 } = old ?? {};
    const known = { note, saved, count: count + 1, used: now, key: key || (old?.key ?? "") };
    contacts.set(addressKey(address), {
      name: old?.name || name.slice(0, MOST_NAME),
      address: old?.address ?? address,
      ...known,
    });
  }
  return bounded([...contacts.values()]);
}

/** Those whose name or address has a word that begins so: the often and lately used first. */
export function suggest(book: Book, typed: string, without: ReadonlySet<string>, most: number): Contact[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const fits = (one: Contact) => {
    const parts = `${one.name} ${one.address}`.toLowerCase();
    return words.every(
      (word) => parts.split(/[\s@._<>"'-]+/).some((part) => part.startsWith(word)) || parts.includes(word),
    );
  };
  return book.contacts
    .filter((one) => !without.has(addressKey(one.address)) && fits(one))
    .sort((a, b) => Number(b.saved) - Number(a.saved) || b.count - a.count || b.used - a.used)
    .slice(0, most);
}

/** Saved ones by name, the rest after. */
export function inOrder(book: Book): Contact[] {
  const label = (one: Contact) => (one.name || one.address).toLowerCase();
  return [...book.contacts].sort((a, b) => Number(b.saved) - Number(a.saved) || label(a).localeCompare(label(b)));
}

function bounded(all: Contact[]): Book {
  const saved = all.filter((one) => one.saved).slice(-MOST_SAVED);
  const recent = all.filter((one) => !one.saved).sort((a, b) => b.used - a.used);
  for (let most = MOST_RECENT; ; most = Math.floor(most / 2)) {
    const contacts = [...saved, ...recent.slice(0, most)];
    if (most === 0 || JSON.stringify(contacts).length < MOST_CHARACTERS) return { contacts };
  }
}

function text(value: unknown, most: number): string {
  return typeof value === "string" ? plainLine(value.slice(0, most)) : "";
}
