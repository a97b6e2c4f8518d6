/**
 * A list of messages, loaded page by page, newest first, shared by sealed mailboxes and public inboxes.
 *
 * Rows appear as soon as the server has named them; their envelopes follow in small batches, the visible ones first, so that
 * opening a thousand of them never holds the page up. A row whose envelope does not open stays, and says so.
 */
import { signal } from "@preact/signals";
import { ApiError } from "../api/http";
import type { Page } from "../api/types";
import type { Envelope } from "../mail/envelope";

export interface Row {
  id: string;
  received: Date;
  size: number;
  folder: string;
  flags: ReadonlySet<string>;
  expires: Date | null;
  /** how it is sealed, and by whom: the server's word, not the sender's */
  scheme: string;
  /** undefined: not opened yet; null: cannot be opened */
  envelope: Envelope | null | undefined;
}

export interface RawMessage {
  id: string;
  received: string;
  size: number;
  folder: string;
  flags: string[];
  expires: string | null;
  scheme?: string;
}

export interface Source<M extends RawMessage> {
  page(cursor: string | null, signal: AbortSignal): Promise<Page<M>>;
  one(id: string): Promise<M>;
  open(messages: M[]): Promise<(Envelope | null)[]>;
}

const BATCH = 10;
const MOST_SINGLE = 5;
const GATHER_MS = 250;

export type ListState = "loading" | "ready" | "more" | "failed";

export class MessageList<M extends RawMessage> {
  readonly rows = signal<Row[]>([]);
  readonly state = signal<ListState>("loading");
  readonly error = signal<unknown>(null);
  readonly complete = signal(false);
  private cursor: string | null = null;
  private keepsOlder = false;
  private abort = new AbortController();
  private arrived = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** for each answer that is awaited, what went meanwhile: it may have been written before */
  private readonly awaited = new Set<Set<string>>();

  constructor(private readonly source: Source<M>) {}

  /** Loads the first page again; rows beyond it are loaded when they are scrolled to. */
  async load(quiet = false): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    if (!quiet) this.state.value = "loading";
    await this.fetch(null, this.abort.signal);
  }

  async more(): Promise<void> {
    if (this.state.value === "loading" || this.state.value === "more" || this.complete.value) return;
    this.state.value = "more";
    await this.fetch(this.cursor, this.abort.signal);
  }

  /** A message came: it is fetched alone, or, when many come, with the first page. */
  arrive(id: string): void {
    this.arrived.add(id);
    this.timer ??= setTimeout(() => void this.fetchArrived(), GATHER_MS);
  }

  /** One message that may not be among the rows (an old link); null when there is none. */
  async find(id: string): Promise<Row | null> {
    try {
      const message = await this.source.one(id);
      const [envelope] = await this.source.open([message]);
      return { ...rowOf(message), envelope: envelope ?? null };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  patch(ids: ReadonlySet<string>, change: (row: Row) => Row): void {
    this.rows.value = this.rows.value.map((row) => (ids.has(row.id) ? change(row) : row));
  }

  take(ids: ReadonlySet<string>): Row[] {
    const taken = this.rows.value.filter((row) => ids.has(row.id));
    this.rows.value = this.rows.value.filter((row) => !ids.has(row.id));
    for (const gone of this.awaited) for (const id of ids) gone.add(id);
    return taken;
  }

  putBack(rows: Row[]): void {
    for (const gone of this.awaited) for (const row of rows) gone.delete(row.id);
    this.merge(rows);
  }

  close(): void {
    this.abort.abort();
    clearTimeout(this.timer);
    this.rows.value = [];
  }

  private async fetch(cursor: string | null, signal: AbortSignal): Promise<void> {
    try {
      const page = await this.answer(
        () => this.source.page(cursor, signal),
        (found, gone) => ({ ...found, messages: found.messages.filter((one) => !gone.has(one.id)) }),
      );
      if (signal.aborted) return;
      if (cursor === null) this.renew(page);
      else this.merge(page.messages.map(rowOf));
      if (cursor !== null || !this.keepsOlder) this.advance(page);
      this.state.value = "ready";
      await this.openEnvelopes(page.messages, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.error.value = error;
      this.state.value = "failed";
    }
  }

  /** Asks, and leaves out of the answer what was taken from the list while it was on its way. */
  private async answer<A, B>(ask: () => Promise<A>, without: (found: A, gone: ReadonlySet<string>) => B): Promise<B> {
    const gone = new Set<string>();
    this.awaited.add(gone);
    try {
      return without(await ask(), gone);
    } finally {
      this.awaited.delete(gone);
    }
  }

  private advance(page: Page<M>): void {
    this.cursor = page.next_cursor || null;
    this.complete.value = !page.next_cursor;
  }

  /**
   * Takes over a first page asked for again. Where it overlaps with what was there, older rows and the place in the list are
   * kept, so that nobody who has scrolled far is thrown back.
   */
  private renew(page: Page<M>): void {
    const fresh = page.messages.map(rowOf);
    const oldest = fresh.at(-1)?.id ?? "";
    const known = new Map(this.rows.value.map((row) => [row.id, row.envelope]));
    this.keepsOlder = page.next_cursor !== null && fresh.some((row) => known.has(row.id));
    const older = this.keepsOlder ? this.rows.value.filter((row) => row.id < oldest) : [];
    this.keepsOlder &&= older.length > 0;
    this.rows.value = [...fresh.map((row) => ({ ...row, envelope: known.get(row.id) })), ...older];
  }

  private merge(added: Row[]): void {
    const rows = new Map(this.rows.value.map((row) => [row.id, row]));
    for (const row of added) rows.set(row.id, { ...row, envelope: row.envelope ?? rows.get(row.id)?.envelope });
    this.rows.value = [...rows.values()].sort(newestFirst);
  }

  private async openEnvelopes(messages: M[], signal: AbortSignal): Promise<void> {
    const known = new Set(this.rows.value.filter((row) => row.envelope !== undefined).map((row) => row.id));
    const pending = messages.filter((message) => !known.has(message.id));
    for (let at = 0; at < pending.length && !signal.aborted; at += BATCH) {
      const batch = pending.slice(at, at + BATCH);
      const envelopes = await this.source.open(batch);
      if (signal.aborted) return;
      const opened = new Map(batch.map((message, i) => [message.id, envelopes[i] ?? null]));
      this.patch(new Set(opened.keys()), (row) => ({ ...row, envelope: opened.get(row.id) }));
    }
  }

  private async fetchArrived(): Promise<void> {
    this.timer = undefined;
    const ids = [...this.arrived];
    this.arrived.clear();
    if (this.state.value === "loading") return;
    if (ids.length > MOST_SINGLE) return this.load(true);
    const { signal } = this.abort;
    for (const id of ids) {
      try {
        const message = await this.answer(
          () => this.source.one(id),
          (found, gone) => (gone.has(found.id) ? null : found),
        );
        if (signal.aborted) return;
        if (!message) continue;
        this.merge([rowOf(message)]);
        await this.openEnvelopes([message], signal);
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 404)) return this.load(true);
      }
    }
  }
}

function rowOf(message: RawMessage): Row {
  const { id, size, folder, scheme = "" } = message;
  const expires = message.expires ? new Date(message.expires) : null;
  const flags = new Set(message.flags);
  return { id, size, folder, scheme, flags, expires, received: new Date(message.received), envelope: undefined };
}

function newestFirst(a: Row, b: Row): number {
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}
