/** The address book and what one has set for writing: sealed by this page, opened by this page, never readable at the server. */
import { signal } from "@preact/signals";
import { objects, type ObjectName } from "../api/sending";
import { QUICK, vault } from "../crypto/vault";
import { fromBase64, toBase64 } from "../lib/encoding";
import { NO_BOOK, readBook, type Book } from "../mail/contacts";
import { SharedObject, type ObjectStore } from "./objects";
import { onEnd } from "./session";

export interface Writing {
  /** the name beside one's address */
  name: string;
  signature: string;
  /** whether who is written to enters the address book */
  remember: boolean;
}

export const NO_WRITING: Writing = { name: "", signature: "", remember: true };
const MOST_SIGNATURE = 2_000;

/** null until it has been loaded */
export const book = signal<Book | null>(null);
export const writing = signal<Writing | null>(null);

export const sharedBook = new SharedObject<Book>(
  sealedStore("contacts", readBook),
  NO_BOOK,
  (value) => (book.value = value),
);
export const sharedWriting = new SharedObject<Writing>(
  sealedStore("settings", readWriting),
  NO_WRITING,
  (value) => (writing.value = value),
);

/** Loads both, once; a failure is tried again by the next who needs them. */
export async function loadKept(): Promise<void> {
  await Promise.all([book.value ?? sharedBook.load(), writing.value ?? sharedWriting.load()]);
}

function sealedStore<T>(name: ObjectName, read: (value: unknown) => T): ObjectStore<T> {
  return {
    async get() {
      const { sealed, version } = await objects.get(name);
      if (!sealed) return { value: null, version };
      const value = await vault.call("openObject", { sealed: fromBase64(sealed) }, { timeout: QUICK });
      return { value: read(value), version };
    },
    async put(value, version) {
      const sealed = await vault.call("sealObject", { value: { v: 1, ...value } }, { timeout: QUICK });
      return (await objects.put(name, toBase64(sealed), version)).version;
    },
  };
}

function readWriting(value: unknown): Writing {
  const record = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (key: string, most: number) => (typeof record[key] === "string" ? record[key].slice(0, most) : "");
  return {
    name: text("name", 100),
    signature: text("signature", MOST_SIGNATURE),
    remember: record["remember"] !== false,
  };
}

onEnd(() => {
  sharedBook.forget();
  sharedWriting.forget();
  book.value = null;
  writing.value = null;
});
