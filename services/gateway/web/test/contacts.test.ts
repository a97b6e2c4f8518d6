import { describe, expect, it } from "vitest";
import { ApiError } from "../src/api/http";
import {
  dropContact,
  inOrder,
  NO_BOOK,
  noteWritten,
  readBook,
  saveContact,
  suggest,
  type Book,
} from "../src/mail/contacts";
import { SharedObject, type ObjectStore } from "../src/state/objects";

const named = (name: string, address: string) => ({ name, address, note: "" });
const addresses = (book: Book) => book.contacts.map((one) => one.address);

describe("the address book", () => {
  const book = saveContact(
    saveContact(NO_BOOK, "", named("Ada Lovelace", "ada@x.example")),
    "",
    named("Bob", "bob@y.example"),
  );

  it("suggests by the beginnings of words, the used ones first, and not who is there already", () => {
    const used = noteWritten(book, [{ name: "", address: "bob@y.example", key: "" }], 5);
    expect(suggest(used, "lov", new Set(), 5).map((one) => one.name)).toEqual(["Ada Lovelace"]);
    expect(suggest(used, "example", new Set(), 5).map((one) => one.name)).toEqual(["Bob", "Ada Lovelace"]);
    expect(suggest(used, "bo", new Set(["bob@y.example"]), 5)).toEqual([]);
    expect(suggest(used, "  ", new Set(), 5)).toEqual([]);
  });

  it("changes an address without losing what is known of it, and never holds one twice", () => {
    const noted = noteWritten(book, [{ name: "", address: "ADA@x.example", key: "ff" }], 7);
    expect(noted.contacts.find((one) => one.name === "Ada Lovelace")).toMatchObject({
      count: 1,
      used: 7,
      key: "ff",
      saved: true,
    });
    const moved = saveContact(noted, "ada@x.example", named("Ada L.", "bob@y.example"));
    expect(addresses(moved)).toEqual(["bob@y.example"]);
    expect(addresses(dropContact(moved, "Bob@y.example"))).toEqual([]);
  });

  it("makes room by forgetting who was written to longest ago, never who was saved", () => {
    let full = book;
    for (let i = 0; i < 400; i++) full = noteWritten(full, [{ name: "", address: `p${i}@z.example`, key: "" }], i);
    expect(full.contacts.length).toBeLessThanOrEqual(302);
    expect(addresses(full)).toContain("ada@x.example");
    expect(addresses(full)).toContain("p399@z.example");
    expect(addresses(full)).not.toContain("p0@z.example");
    expect(inOrder(full)[0]?.name).toBe("Ada Lovelace");
  });

  it("stays below what the server keeps", () => {
    const long = Array.from({ length: 300 }, (_, i) => ({
      name: "n".repeat(100),
      address: `${"a".repeat(60)}@${i}.${"b".repeat(60)}.example`,
      key: "f".repeat(40),
    }));
    const notes = long
      .slice(0, 250)
      .reduce((all, one) => saveContact(all, "", { ...one, note: "x".repeat(200) }), NO_BOOK);
    expect(JSON.stringify(noteWritten(notes, long, 1)).length).toBeLessThan(200_000);
  });

  it.each([[null], [[]], [{ contacts: 3 }], [{ contacts: [null, 4, { address: "none" }, { address: {} }] }]])(
    "reads %j as empty",
    (value) => {
      expect(readBook(value)).toEqual(NO_BOOK);
    },
  );

  it("comes back as it was written", () => {
    expect(readBook(JSON.parse(JSON.stringify({ v: 1, ...book })))).toEqual(book);
  });
});

/** The server: it knows versions, and another page that is faster. */
class Server implements ObjectStore<Book> {
  value: Book | null = null;
  version = 0;
  meanwhile: ((server: Server) => void) | null = null;

  async get() {
    return { value: this.value, version: this.version };
  }

  async put(value: Book, version: number) {
    this.meanwhile?.(this);
    this.meanwhile = null;
    if (version !== this.version) throw new ApiError(409, "version", "Another version.");
    this.value = value;
    return ++this.version;
  }
}

describe("a change of what two pages share", () => {
  it("is applied to what the other page has left", async () => {
    const server = new Server();
    const seen: Book[] = [];
    const shared = new SharedObject(server, NO_BOOK, (value) => seen.push(value));
    await shared.update((book) => saveContact(book, "", named("A", "a@x.example")));
    server.meanwhile = (at) => {
      at.value = saveContact(at.value!, "", named("B", "b@x.example"));
      at.version++;
    };
    await shared.update((book) => saveContact(book, "", named("C", "c@x.example")));
    expect(addresses(server.value!).sort()).toEqual(["a@x.example", "b@x.example", "c@x.example"]);
    expect(addresses(seen.at(-1)!)).toHaveLength(3);
  });

  it("comes one after the other", async () => {
    const server = new Server();
    const shared = new SharedObject(server, NO_BOOK, () => undefined);
    await Promise.all(
      ["a", "b", "c"].map((n) => shared.update((book) => saveContact(book, "", named(n, `${n}@x.example`)))),
    );
    expect(addresses(server.value!)).toHaveLength(3);
    expect(server.version).toBe(3);
  });

  it("gives up when it is always late, and the next one is not kept waiting by it", async () => {
    const server = new Server();
    const shared = new SharedObject(server, NO_BOOK, () => undefined);
    const late = {
      ...server,
      get: () => server.get(),
      put: async () => Promise.reject(new ApiError(409, "version", "Another version.")),
    };
    const unlucky = new SharedObject(late, NO_BOOK, () => undefined);
    await expect(unlucky.update((book) => saveContact(book, "", named("A", "a@x.example")))).rejects.toThrow(
      "Another version.",
    );
    await shared.update((book) => book);
    expect(server.version).toBe(0);
  });
});
