/** The mails that are being written in this page, and how they are begun, taken up again and left. */
import { signal } from "@preact/signals";
import { mail } from "../api/calls";
import { asSentence, serverNow } from "../api/http";
import { outbox } from "../api/sending";
import { PATIENT, vault } from "../crypto/vault";
import { navigate, path, pieces } from "../lib/router";
import { addressKey } from "../mail/address";
import { noteWritten } from "../mail/contacts";
import { draftOf } from "../mail/draft";
import type { Person } from "../mail/envelope";
import type { Enclosure } from "../mail/letter";
import { OpenedMail } from "../mail/opened";
import { Composer, type ComposerPorts, type Kept, type Start } from "./composer";
import { loadKept, sharedBook, writing } from "./keeping";
import { currentFolder, folderChanged, setFlag } from "./mailbox";
import type { Found } from "./recipients";
import { account, beforeEnd, onEnd } from "./session";
import { toast } from "./toast";

export const composers = signal<ReadonlyMap<string, Composer>>(new Map());

const KEPT_MS = 1_500;
const SEALING_MS = 5 * 60_000;
const nobody = () => undefined;

function sender(): Person {
  return { name: writing.value?.name ?? "", address: account.value?.address ?? "" };
}

const ports: ComposerPorts = {
  sender,
  now: serverNow,
  sealLetter: (letter, rcpt, certificate) =>
    vault.call("sealLetter", { letter, rcpt, certificate }, { timeout: SEALING_MS }),
  sealMime: (letter, certificate) => vault.call("sealMime", { letter, certificate }, { timeout: SEALING_MS }),
  writeOpen: (letter) => vault.call("writeOpen", { letter }, { timeout: SEALING_MS }),
  sealOwn: (letter) => vault.call("sealOwn", { letter, notes: { answers: "", sentTo: [] } }, { timeout: SEALING_MS }),
  sealDraft: (letter, notes) => vault.call("sealOwn", { letter, notes }, { timeout: SEALING_MS }),
  toMember: outbox.sealed,
  toWorld: outbox.send,
  toOwn: (id, sealed, way) => outbox.own(id, "sent", sealed, "", way),
  keepSent: (id, sealed, replaces, way) => outbox.own(id, "sent", sealed, replaces, way),
  keepDraft: (id, sealed, replaces) => outbox.own(id, "drafts", sealed, replaces, { progress: nobody }),
  dropDraft: async (id) => void (await mail.remove([id])),
  draftChanged: (now, before) => folderChanged("drafts", now, before),
};

/** Begins a mail and shows it. */
export async function write(start: Start = {}, options: { replace?: boolean } = {}): Promise<void> {
  await settings();
  const composer = open(new Composer(ports, newKey(), { ...start, text: withSignature(start.text ?? "") }));
  navigate(`/write/${composer.key}`, options);
}

/** The composer of a path: one that is open, by its key or any id that its draft had. */
export function composerOf(id: string): Composer | null {
  return [...composers.value.values()].find((one) => one.names.has(id)) ?? null;
}

/** @throws ApiError 404 when there is no such draft, WorkerFailure when it does not open */
export async function takeUp(draftId: string): Promise<Composer> {
  await settings();
  const sealed = await mail.body(draftId);
  const opened = await vault.call("openLetter", { sealed, writer: "own" }, { timeout: PATIENT });
  const parsed = await OpenedMail.parse(opened.plain);
  try {
    const draft = draftOf(parsed.view);
    const attachments: Enclosure[] = [];
    for (const part of parsed.view.parts) {
      attachments.push({
        name: part.name || "attachment",
        type: part.type,
        content: new Blob([await parsed.content(part)]),
      });
    }
    const { notes, ...rest } = draft;
    const foreign = opened.signature !== "verified";
    const kept: Kept = { ...rest, ...notes, attachments, draftId, foreign };
    return composerOf(draftId) ?? open(new Composer(ports, newKey(), kept));
  } finally {
    parsed.close();
  }
}

/** Looking elsewhere: what is written is kept; a mail that is being sent goes on. */
export async function leave(composer: Composer): Promise<void> {
  if (!composers.value.has(composer.key)) return;
  await composer.save();
  if (composer.sending.value) return;
  const safe = composer.saving.value === "kept" || composer.saving.value === "new";
  if (safe) return drop(composer);
  toast(`Your draft could not be kept: ${composer.saveError.value}`, {
    kind: "error",
    action: { label: "Open it", run: () => navigate(`/write/${composer.key}`) },
  });
}

export async function discard(composer: Composer): Promise<void> {
  drop(composer);
  try {
    await composer.discard();
    toast("Draft discarded");
  } catch (error) {
    toast(asSentence(error), { kind: "error" });
  }
}

/** Sends; what is done after everybody has it is done here. */
export async function send(composer: Composer, found: ReadonlyMap<string, Found>): Promise<boolean> {
  const done = await composer.send(found);
  if (!done) {
    if (!isShown(composer)) {
      const action = { label: "Show", run: () => navigate(`/write/${composer.key}`) };
      toast("Not everything was sent.", { kind: "error", action });
    }
    return false;
  }
  drop(composer);
  toast("Sent");
  const [id = "", how] = composer.answers.split(" ");
  if (id && how === "reply") void setFlag(new Set([id]), "answered", true);
  remember(composer, found);
  return true;
}

/** Whether the page shows this one now. */
export function isShown(composer: Composer): boolean {
  const [first, id = ""] = pieces(path.value);
  return first === "write" && composer.names.has(id);
}

export function afterSending(): void {
  const folder = currentFolder.value === "drafts" ? "inbox" : currentFolder.value;
  navigate(`/mail/${folder}`, { replace: true });
}

function remember(composer: Composer, found: ReadonlyMap<string, Found>): void {
  if (writing.value?.remember === false) return;
  const people = composer.people.value.map((one) => ({
    ...one,
    key: found.get(addressKey(one.address))?.fingerprint ?? "",
  }));
  // The mail is sent; that its recipients could not be noted must not look like a failure of sending.
  sharedBook.update((book) => noteWritten(book, people, Date.now())).catch(nobody);
}

function withSignature(text: string): string {
  const signature = writing.value?.signature.trimEnd() ?? "";
  if (signature === "") return text === "" ? "" : `\n\n${text}`;
  return `\n\n-- \n${signature}${text === "" ? "" : `\n\n${text}`}`;
}

/** Name and signature, if they come soon; a slow server keeps nobody from writing. */
async function settings(): Promise<void> {
  await Promise.race([loadKept().catch(nobody), new Promise((resolve) => setTimeout(resolve, KEPT_MS))]);
}

function open(composer: Composer): Composer {
  composers.value = new Map([...composers.value, [composer.key, composer]]);
  return composer;
}

function drop(composer: Composer): void {
  composer.end();
  composers.value = new Map([...composers.value].filter(([key]) => key !== composer.key));
}

function newKey(): string {
  return crypto.randomUUID().slice(0, 8);
}

/** Something here would be lost with the page. */
function unsaved(): boolean {
  return [...composers.value.values()].some(
    (one) => one.sending.value?.running.value || !/^(new|kept)$/.test(one.saving.value),
  );
}

beforeEnd(async () => {
  await Promise.all([...composers.value.values()].map((one) => one.save()));
});
onEnd(() => {
  for (const composer of composers.value.values()) composer.end();
  composers.value = new Map();
});
addEventListener("beforeunload", (event) => {
  if (unsaved()) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") for (const one of composers.value.values()) void one.save();
});
