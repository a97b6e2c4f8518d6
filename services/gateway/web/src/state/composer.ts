/**
 * One mail that is being written. It lives outside the view, so that looking elsewhere neither loses it nor stops its sending;
 * some seconds after the last change, and on leaving, it is kept as a draft that only its writer can open.
 */
import { computed, effect, signal, untracked } from "@preact/signals";
import { asSentence } from "../api/http";
import { addressKey, isAddress } from "../mail/address";
import type { Person } from "../mail/envelope";
import { estimatedBytes, newMessageId, recipientsOf, type Enclosure, type Letter, type OwnNotes } from "../mail/letter";
import type { Sealed } from "../api/sending";
import type { Way } from "../api/upload";
import { newStoredId, Sending, type SendingPorts } from "./sending";
import type { Found } from "./recipients";

export interface Attached extends Enclosure {
  id: number;
}

/** What a new mail begins with. */
export interface Start {
  to?: Person[];
  cc?: Person[];
  bcc?: Person[];
  subject?: string;
  text?: string;
  attachments?: Enclosure[];
  inReplyTo?: string;
  references?: string[];
  /** see OwnNotes */
  answers?: string;
  /** the mail it quotes came sealed */
  quotesSealed?: boolean;
}

/** What comes back with a draft that was kept. */
export interface Kept extends Start {
  draftId: string;
  messageId: string;
  sentTo: string[];
  /** it is signed by another than its owner, or not at all */
  foreign: boolean;
}

export interface ComposerPorts extends SendingPorts {
  sender(): Person;
  sealDraft(letter: Letter, notes: OwnNotes): Promise<Sealed>;
  keepDraft(id: string, sealed: Sealed, replaces: string): Promise<void>;
  keepSent(id: string, sealed: Sealed, replaces: string, way: Way): Promise<void>;
  dropDraft(id: string): Promise<void>;
  /** lists are told what came and what went */
  draftChanged(now: string, before: string): void;
}

export type Saving = "new" | "kept" | "changed" | "saving" | "failed";

const QUIET_MS = 3_000;
const LONGEST_MS = 20_000;
/** Enclosures travel with each draft: the larger, the longer the pause. */
const MS_PER_BYTE = 2 / 1000;
const LONGEST_PAUSE_MS = 60_000;

let nextAttachment = 1;

export class Composer {
  readonly key: string;
  readonly to = signal<Person[]>([]);
  readonly cc = signal<Person[]>([]);
  readonly bcc = signal<Person[]>([]);
  readonly subject = signal("");
  readonly text = signal("");
  readonly attachments = signal<Attached[]>([]);
  readonly saving = signal<Saving>("new");
  readonly savedAt = signal<Date | null>(null);
  readonly saveError = signal("");
  readonly sending = signal<Sending | null>(null);
  readonly foreign: boolean;
  readonly quotesSealed: boolean;
  readonly size = computed(() =>
    estimatedBytes(
      this.text.value,
      this.attachments.value.map((one) => one.content.size),
    ),
  );
  readonly people = computed(() => recipientsOf({ to: this.to.value, cc: this.cc.value, bcc: this.bcc.value }));
  draftId = "";
  /** every name that a path may have for it: its key, and the ids that its draft had */
  readonly names: Set<string>;
  /** open recipients that the writer has been warned of, by address */
  readonly warned = new Set<string>();

  private readonly messageId: string;
  private readonly inReplyTo: string;
  private readonly references: string[];
  readonly answers: string;
  private sentTo: string[];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private firstChange = 0;
  private run: Promise<void> | null = null;
  private gone = false;
  private readonly stopWatching: () => void;

  constructor(
    private readonly ports: ComposerPorts,
    key: string,
    start: Start | Kept = {},
  ) {
    this.key = key;
    this.names = new Set([key]);
    const kept = "draftId" in start ? start : null;
    this.to.value = start.to ?? [];
    this.cc.value = start.cc ?? [];
    this.bcc.value = start.bcc ?? [];
    this.subject.value = start.subject ?? "";
    this.text.value = start.text ?? "";
    this.attachments.value = (start.attachments ?? []).map((one) => ({ ...one, id: nextAttachment++ }));
    this.inReplyTo = start.inReplyTo ?? "";
    this.references = start.references ?? [];
    this.answers = start.answers ?? "";
    this.quotesSealed = start.quotesSealed ?? false;
    this.foreign = kept?.foreign ?? false;
    this.sentTo = kept?.sentTo ?? [];
    if (kept) this.names.add((this.draftId = kept.draftId));
    this.messageId = kept?.messageId || newMessageId(ports.sender().address);
    if (kept) this.saving.value = "kept";
    this.stopWatching = this.watch();
  }

  attach(files: Enclosure[]): void {
    this.attachments.value = [...this.attachments.value, ...files.map((one) => ({ ...one, id: nextAttachment++ }))];
  }

  detach(id: number): void {
    this.attachments.value = this.attachments.value.filter((one) => one.id !== id);
  }

  get wrongAddresses(): string[] {
    return this.people.value.map((one) => one.address).filter((address) => !isAddress(address));
  }

  /** Keeps the draft now, if there is something to keep. Never rejects: `saving` and `saveError` tell. */
  save(): Promise<void> {
    clearTimeout(this.timer);
    const wanted = this.is("changed") || this.is("failed");
    if (this.gone || !wanted || this.sending.value?.running.value) return this.run ?? Promise.resolve();
    this.run = (this.run ?? Promise.resolve()).then(() => this.keep()).finally(() => (this.run = null));
    return this.run;
  }

  /** Sends, or goes on sending what is not sent yet. Whether everybody has it and it is kept. */
  async send(routes: ReadonlyMap<string, Found>): Promise<boolean> {
    clearTimeout(this.timer);
    await this.run;
    const sending = this.sending.value ?? new Sending(this.sendingPorts(), this.letter(), routes, this.sentTo);
    this.sending.value = sending;
    const done = await sending.run();
    this.sentTo = sending.sentTo;
    if (done) this.end();
    else if (this.sentTo.length > 0 || this.is("changed")) {
      this.saving.value = "changed";
      await this.save();
    }
    return done;
  }

  /** After a failure: back to writing. Who has it already stays known. */
  backToWriting(): void {
    this.sending.value = null;
  }

  /** Gives it up; the draft goes too. */
  async discard(): Promise<void> {
    this.end();
    await this.run?.catch(() => undefined);
    if (!this.draftId) return;
    await this.ports.dropDraft(this.draftId);
    this.ports.draftChanged("", this.draftId);
  }

  /** Nothing is written or kept any more. */
  end(): void {
    this.gone = true;
    clearTimeout(this.timer);
    this.stopWatching();
  }

  get delivered(): ReadonlySet<string> {
    return new Set(this.sentTo.map(addressKey));
  }

  letter(): Letter {
    return {
      from: this.ports.sender(),
      to: this.to.value,
      cc: this.cc.value,
      bcc: this.bcc.value,
      subject: this.subject.value,
      text: this.text.value,
      enclosures: this.attachments.value.map(({ name, type, content }) => ({ name, type, content })),
      date: this.ports.now().toISOString(),
      messageId: this.messageId,
      inReplyTo: this.inReplyTo,
      references: this.references,
    };
  }

  private sendingPorts(): SendingPorts {
    const { ports } = this;
    const toOwn: SendingPorts["toOwn"] = async (id, sealed, way) => {
      // A draft that is still being kept would outlive the mail.
      await this.run;
      await ports.keepSent(id, sealed, this.draftId, way);
      ports.draftChanged("", this.draftId);
    };
    return { ...ports, toOwn };
  }

  private async keep(): Promise<void> {
    if (this.gone) return;
    this.saving.value = "saving";
    this.firstChange = 0;
    try {
      const sealed = await this.ports.sealDraft(this.letter(), { answers: this.answers, sentTo: this.sentTo });
      const id = newStoredId(this.ports.now().getTime());
      const before = this.draftId;
      await this.ports.keepDraft(id, sealed, before);
      this.draftId = id;
      this.names.add(id);
      this.ports.draftChanged(id, before);
      this.savedAt.value = this.ports.now();
      this.saveError.value = "";
      // What was typed meanwhile has set it to "changed".
      if (this.is("saving")) this.saving.value = "kept";
    } catch (error) {
      this.saveError.value = asSentence(error);
      this.saving.value = "failed";
      this.schedule();
    }
  }

  private is(state: Saving): boolean {
    return this.saving.value === state;
  }

  private watch(): () => void {
    let first = true;
    return effect(() => {
      const { to, cc, bcc, subject, text, attachments } = this;
      void [to.value, cc.value, bcc.value, subject.value, text.value, attachments.value];
      if (first) first = false;
      else untracked(() => this.changed());
    });
  }

  private changed(): void {
    this.saving.value = "changed";
    this.schedule();
  }

  private schedule(): void {
    if (this.gone) return;
    const now = Date.now();
    this.firstChange ||= now;
    const bytes = this.attachments.value.reduce((sum, one) => sum + one.content.size, 0);
    const pause = Math.min(LONGEST_PAUSE_MS, QUIET_MS + bytes * MS_PER_BYTE);
    const latest = this.firstChange + Math.max(LONGEST_MS, pause);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), Math.max(0, Math.min(pause, latest - now)));
  }
}
