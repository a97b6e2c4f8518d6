/** The open mailbox: its folders, the list on the screen, what is selected, and what can be done with it. */
import { batch, computed, signal } from "@preact/signals";
import { mail } from "../api/calls";
import { asSentence } from "../api/http";
import { FirstLoad, openLive } from "../api/live";
import type { Flag, Folder, Mailbox, Message } from "../api/types";
import { QUICK, vault } from "../crypto/vault";
import { fromBase64, toBase64 } from "../lib/encoding";
import { plural } from "../lib/format";
import { MessageList, type Row, type Source } from "./list";
import { onEnd } from "./session";
import { toast } from "./toast";

export interface FolderView {
  id: string;
  name: string;
  own: boolean;
  messages: number;
  unseen: number;
}

const SYSTEM: [id: string, name: string][] = [
  ["inbox", "Inbox"],
  ["drafts", "Drafts"],
  ["sent", "Sent"],
  ["archive", "Archive"],
  ["junk", "Junk"],
  ["trash", "Trash"],
];
const MOST_IDS = 200;
const REFRESH_MS = 800;

export const usage = signal<Mailbox | null>(null);
const names = signal<ReadonlyMap<string, string>>(new Map());
export const folders = computed(() => viewFolders(usage.value?.folders ?? [], names.value));
export const list = signal<MessageList<Message> | null>(null);
export const currentFolder = signal("inbox");
export const selected = signal<ReadonlySet<string>>(new Set());
/** The message that the keyboard acts on. */
export const focused = signal("");
export const search = signal("");
export const live = signal(true);

const sealed: Source<Message> = {
  page: (cursor, abort) => mail.list(currentFolder.value, cursor, abort),
  one: (id) => mail.get(id),
  open: (messages) => {
    const envelopes = messages.map((message) => fromBase64(message.envelope));
    return vault.call("openEnvelopes", { sealed: envelopes }, { timeout: QUICK });
  },
};

export const shownRows = computed(() => {
  const rows = list.value?.rows.value ?? [];
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? rows : rows.filter((row) => matches(row, words));
});

/** Shows a folder; the list of the one before is dropped. */
export function openFolder(id: string): void {
  if (list.value && currentFolder.value === id) return;
  list.value?.close();
  batch(() => {
    currentFolder.value = id;
    selected.value = new Set();
    focused.value = "";
    search.value = "";
    list.value = new MessageList(sealed);
  });
  if (streamOpened) void list.value?.load();
}

let closeLive: (() => void) | null = null;
/** From then on folders are loaded as soon as they are opened. */
let streamOpened = false;
let refreshTimer: ReturnType<typeof setTimeout> | undefined;

/** Starts live updates and loads the folders; safe to call twice. */
export function startMailbox(): void {
  if (closeLive) return;
  const first = new FirstLoad((quiet) => {
    streamOpened = true;
    void list.value?.load(quiet);
    void refreshFolders();
  });
  const close = openLive("/v1/events", {
    stored: ({ id, folder }) => {
      if (folder === currentFolder.value) list.value?.arrive(id);
      refreshSoon();
    },
    opened: () => first.opened(),
    connected: (up) => (live.value = up),
    refused: refreshSoon,
  });
  closeLive = () => {
    close();
    first.cancel();
  };
}

onEnd(() => {
  closeLive?.();
  closeLive = null;
  streamOpened = false;
  clearTimeout(refreshTimer);
  list.value?.close();
  batch(() => {
    list.value = null;
    usage.value = null;
    names.value = new Map();
    selected.value = new Set();
    focused.value = "";
    search.value = "";
    currentFolder.value = "inbox";
  });
});

/** Something in a folder was replaced by this page: `now` came, `before` went; either may be "". */
export function folderChanged(folder: string, now: string, before: string): void {
  if (currentFolder.value === folder && before) list.value?.take(new Set([before]));
  if (currentFolder.value === folder && now) list.value?.arrive(now);
  refreshSoon();
}

export function refreshSoon(): void {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => void refreshFolders(), REFRESH_MS);
}

export async function refreshFolders(): Promise<void> {
  try {
    usage.value = await mail.mailbox();
    await openNames(usage.value.folders);
  } catch (error) {
    if (!usage.value)
      toast(asSentence(error), { kind: "error", action: { label: "Retry", run: () => void refreshFolders() } });
  }
}

export async function addFolder(name: string): Promise<string> {
  const sealedName = await vault.call("sealName", { name }, { timeout: QUICK });
  const made = await mail.addFolder(toBase64(sealedName));
  await refreshFolders();
  return made.id;
}

export async function renameFolder(id: string, name: string): Promise<void> {
  const sealedName = await vault.call("sealName", { name }, { timeout: QUICK });
  await mail.renameFolder(id, toBase64(sealedName));
  names.value = new Map([...names.value].filter(([known]) => known !== id));
  await refreshFolders();
}

export async function dropFolder(id: string): Promise<void> {
  await mail.dropFolder(id);
  await refreshFolders();
}

/** Moves messages, at once on the screen; a failure brings them back. */
export async function move(ids: ReadonlySet<string>, to: string): Promise<void> {
  const from = currentFolder.value;
  if (from === to) return;
  const taken = list.value?.take(ids) ?? [];
  unselect(ids);
  const name = folders.value.find((folder) => folder.id === to)?.name ?? "another folder";
  const done = await change([...ids], taken, (part) => mail.update({ ids: part, move_to: to }));
  if (!done) return;
  const undo = () => void moveBack(ids, taken, from);
  toast(`${plural(ids.size, "message")} moved to ${name}`, { action: { label: "Undo", run: undo } });
}

export async function removeForGood(ids: ReadonlySet<string>): Promise<void> {
  const taken = list.value?.take(ids) ?? [];
  unselect(ids);
  const done = await change([...ids], taken, (part) => mail.remove(part));
  if (done) toast(`${plural(ids.size, "message")} deleted for good`);
}

export async function setFlag(ids: ReadonlySet<string>, flag: Flag, on: boolean): Promise<void> {
  const before = (list.value?.rows.value ?? []).filter((row) => ids.has(row.id));
  list.value?.patch(ids, (row) => ({ ...row, flags: changedFlags(row.flags, flag, on) }));
  const body = on ? { add_flags: [flag] } : { remove_flags: [flag] };
  await change([...ids], before, (part) => mail.update({ ids: part, ...body }));
}

export function toggleSelected(id: string): void {
  const next = new Set(selected.value);
  if (!next.delete(id)) next.add(id);
  selected.value = next;
}

function unselect(ids: ReadonlySet<string>): void {
  selected.value = new Set([...selected.value].filter((id) => !ids.has(id)));
}

async function moveBack(ids: ReadonlySet<string>, rows: Row[], folder: string): Promise<void> {
  const back = () => mail.update({ ids: [...ids], move_to: folder });
  if ((await change([...ids], [], back)) && currentFolder.value === folder) list.value?.putBack(rows);
}

/** Asks the server in parts it accepts; on failure the rows return as they were. */
async function change(ids: string[], before: Row[], ask: (part: string[]) => Promise<unknown>): Promise<boolean> {
  try {
    for (let at = 0; at < ids.length; at += MOST_IDS) await ask(ids.slice(at, at + MOST_IDS));
    return true;
  } catch (error) {
    list.value?.putBack(before);
    toast(asSentence(error), { kind: "error" });
    return false;
  } finally {
    refreshSoon();
  }
}

function changedFlags(flags: ReadonlySet<string>, flag: Flag, on: boolean): ReadonlySet<string> {
  const next = new Set(flags);
  if (on) next.add(flag);
  else next.delete(flag);
  return next;
}

async function openNames(all: Folder[]): Promise<void> {
  const pending = all.filter((folder) => folder.sealed_name !== "" && !names.value.has(folder.id));
  if (pending.length === 0) return;
  const sealedNames = pending.map((folder) => fromBase64(folder.sealed_name));
  const opened = await vault.call("openNames", { sealed: sealedNames }, { timeout: QUICK });
  names.value = new Map([...names.value, ...pending.map((f, i) => [f.id, opened[i] ?? "(unreadable)"] as const)]);
}

function viewFolders(all: Folder[], known: ReadonlyMap<string, string>): FolderView[] {
  const counts = new Map(all.map((folder) => [folder.id, folder]));
  const view = (id: string, name: string, own: boolean): FolderView => {
    const { messages = 0, unseen = 0 } = counts.get(id) ?? {};
    return { id, name, own, messages, unseen };
  };
  const own = all
    .filter((folder) => folder.sealed_name !== "")
    .map((folder) => view(folder.id, known.get(folder.id) ?? "…", true))
    .sort((a, b) => a.name.localeCompare(b.name));
  return [...SYSTEM.map(([id, name]) => view(id, name, false)), ...own];
}

function matches(row: Row, words: string[]): boolean {
  if (!row.envelope) return false;
  const { from, to, subject, preview, attachments } = row.envelope;
  const files = attachments.map((one) => one.name).join(" ");
  const people = [from, ...to].map((one) => `${one.name} ${one.address}`).join(" ");
  const all = `${people} ${subject} ${preview} ${files}`.toLowerCase();
  return words.every((word) => all.includes(word));
}
