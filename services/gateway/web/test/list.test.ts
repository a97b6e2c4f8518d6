import { describe, expect, it } from "vitest";
import type { Page } from "../src/api/types";
import type { Envelope } from "../src/mail/envelope";
import { MessageList, type RawMessage, type Source } from "../src/state/list";

const message = (n: number): RawMessage => ({
  id: n.toString().padStart(4, "0"),
  received: "2026-11-22T17:00:00Z",
  size: 1,
  folder: "inbox",
  flags: [],
  expires: null,
});

/** A server of `count` messages in pages of ten; the cursor is the id of the last one told. */
class Server implements Source<RawMessage> {
  ids: number[];
  fails = false;
  opened: string[] = [];

  constructor(count: number) {
    this.ids = Array.from({ length: count }, (_, i) => count - i);
  }

  async page(cursor: string | null): Promise<Page<RawMessage>> {
    if (this.fails) throw new Error("down");
    const rest = this.ids.filter((id) => cursor === null || id < Number(cursor));
    const page = rest.slice(0, 10);
    return { messages: page.map(message), next_cursor: rest.length > 10 ? String(page.at(-1)) : null };
  }

  async one(id: string): Promise<RawMessage> {
    return message(Number(id));
  }

  async open(messages: RawMessage[]): Promise<(Envelope | null)[]> {
    this.opened.push(...messages.map((one) => one.id));
    return messages.map((one) => (one.id === "0003" ? null : ({ subject: one.id } as Envelope)));
  }
}

const numbers = (list: MessageList<RawMessage>) => list.rows.value.map((row) => Number(row.id));
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("message list", () => {
  it("loads pages, opens each envelope once, and ends", async () => {
    const server = new Server(25);
    const list = new MessageList(server);
    await list.load();
    expect(numbers(list)).toHaveLength(10);
    await list.more();
    await list.more();
    await list.more();
    expect(numbers(list)).toEqual(server.ids);
    expect(list.complete.value).toBe(true);
    expect(new Set(server.opened).size).toBe(server.opened.length);
    expect(list.rows.value.find((row) => row.id === "0003")?.envelope).toBeNull();
  });

  it("renewed, keeps the place of somebody who has scrolled, takes what is new and drops what is gone", async () => {
    const server = new Server(25);
    const list = new MessageList(server);
    await list.load();
    await list.more();
    server.ids = [27, 26, ...server.ids.filter((id) => id !== 24)];
    await list.load(true);
    expect(numbers(list)).toEqual(server.ids.filter((id) => id > 5));
    await list.more();
    expect(numbers(list)).toEqual(server.ids);
  });

  it("leaves out of an answer what was taken while it was on its way, but not what was put back", async () => {
    const server = new Server(5);
    const list = new MessageList(server);
    await list.load();
    const loading = list.load(true);
    list.take(new Set(["0004", "0003"]));
    list.putBack(list.take(new Set(["0002"])));
    await loading;
    expect(numbers(list)).toEqual([5, 2, 1]);
    await list.load(true);
    expect(numbers(list)).toEqual([5, 4, 3, 2, 1]);
  });

  it("renewed after a gap without overlap, begins anew rather than hide the gap", async () => {
    const server = new Server(5);
    const list = new MessageList(server);
    await list.load();
    server.ids = Array.from({ length: 40 }, (_, i) => 100 - i).concat(server.ids);
    await list.load(true);
    expect(numbers(list)).toEqual(server.ids.slice(0, 10));
    await list.more();
    expect(numbers(list)).toEqual(server.ids.slice(0, 20));
  });

  it("fetches few arrivals alone, in their place, and many with the page", async () => {
    const server = new Server(3);
    const list = new MessageList(server);
    await list.load();
    server.ids = [4, ...server.ids];
    list.arrive("0004");
    list.arrive("0004");
    await later(350);
    expect(numbers(list)).toEqual([4, 3, 2, 1]);
    for (let id = 5; id <= 15; id++) {
      server.ids = [id, ...server.ids];
      list.arrive(message(id).id);
    }
    await later(350);
    expect(numbers(list).slice(0, 10)).toEqual(server.ids.slice(0, 10));
  });

  it("keeps its rows when the server fails, and goes on when it is back", async () => {
    const server = new Server(25);
    const list = new MessageList(server);
    await list.load();
    server.fails = true;
    await list.more();
    expect(list.state.value).toBe("failed");
    expect(numbers(list)).toHaveLength(10);
    server.fails = false;
    await list.more();
    expect(numbers(list)).toHaveLength(20);
  });
});
