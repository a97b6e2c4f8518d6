/** One message: who, when, how sure that is, what it says, what it brings; and the ways to look behind it. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import type { Readers } from "../api/types";
import type { Bytes } from "../lib/encoding";
import { longTime, untilTime } from "../lib/format";
import type { Block } from "../mail/decode";
import type { Person } from "../mail/envelope";
import type { Target } from "../mail/links";
import { OpenedMail } from "../mail/opened";
import { sanitizeHtml, type SafeHtml } from "../mail/sanitize";
import type { Row } from "../state/list";
import { Attachments } from "./attachments";
import { AuthenticationLine } from "./authentication";
import { Icon } from "./icon";
import { LinkDialog } from "./link-dialog";
import { MailHtml } from "./mail-html";
import { MailText } from "./mail-text";
import { subjectOf } from "./message-list";
import { Button, IconButton, Notice, Waiting } from "./parts";
import { ReadersDialog } from "./readers";
import { SourceDialog, type SourceReader } from "./source";

interface ReaderProps {
  row: Row;
  /** The bytes of the mail, opened. */
  load: () => Promise<Bytes>;
  readers: () => Promise<Readers>;
  actions: ComponentChildren;
  backTo: string;
  onOpened?: () => void;
}

type Opened = { mail: OpenedMail } | { error: unknown } | null;

function useOpened(id: string, load: () => Promise<Bytes>, onOpened?: () => void): [Opened, () => void] {
  const [opened, setOpened] = useState<Opened>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let current = true;
    let mail: OpenedMail | null = null;
    setOpened(null);
    load()
      .then((bytes) => OpenedMail.parse(bytes))
      .then((parsed) => {
        if (!current) return parsed.close();
        mail = parsed;
        setOpened({ mail });
        onOpened?.();
      })
      .catch((error: unknown) => current && setOpened({ error }));
    return () => {
      current = false;
      mail?.close();
    };
  }, [id, attempt]);
  return [opened, () => setAttempt(attempt + 1)];
}

export function Reader({ row, load, readers, actions, backTo, onOpened }: ReaderProps) {
  const [opened, retry] = useOpened(row.id, load, onOpened);
  const [dialog, setDialog] = useState<"" | "readers" | "source">("");
  const [target, setTarget] = useState<Target | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [row.id]);
  const mail = opened && "mail" in opened ? opened.mail : null;
  return (
    <article class="reader" aria-labelledby="subject">
      <div class="reader-bar" role="toolbar" aria-label="Message">
        <a class="icon-button back" href={backTo} aria-label="Back to the list" title="Back to the list (u)">
          <Icon name="back" />
        </a>
        {actions}
        <span class="gap" />
        <IconButton icon="people" label="Who can read this" onClick={() => setDialog("readers")} />
        <IconButton icon="code" label="Show source" onClick={() => setDialog("source")} />
      </div>
      <div class="reader-scroll">
        <h1 id="subject" ref={heading} tabIndex={-1}>
          {subjectOf(row)}
        </h1>
        <Head row={row} mail={mail} />
        {opened === null && <Waiting text="Opening" />}
        {opened && "error" in opened && (
          <Unreadable error={opened.error} retry={retry} source={() => setDialog("source")} />
        )}
        {mail && <Body mail={mail} onLink={setTarget} />}
      </div>
      {dialog === "readers" && <ReadersDialog load={readers} onClose={() => setDialog("")} />}
      {dialog === "source" && <SourceDialog mail={mail ?? sourceWithoutParsing(load)} onClose={() => setDialog("")} />}
      {target && <LinkDialog target={target} onClose={() => setTarget(null)} />}
    </article>
  );
}

function Unreadable({ error, retry, source }: { error: unknown; retry: () => void; source: () => void }) {
  return (
    <Notice kind="error">
      <p>This message cannot be shown: {asSentence(error)}</p>
      <div class="row">
        <Button icon="refresh" onClick={retry}>
          Try again
        </Button>
        <Button icon="code" onClick={source}>
          Show its source
        </Button>
      </div>
    </Notice>
  );
}

function Head({ row, mail }: { row: Row; mail: OpenedMail | null }) {
  const envelope = row.envelope;
  if (!envelope) return null;
  const { from } = envelope;
  const replyTo = (mail?.view.replyTo ?? []).filter((one) => one.address.toLowerCase() !== from.address.toLowerCase());
  return (
    <header class="reader-head">
      <div class="avatar" aria-hidden="true">
        {(from.name || from.address || "?").slice(0, 1).toUpperCase()}
      </div>
      <div class="reader-who">
        <p>
          <strong>{from.name || from.address || "(no sender)"}</strong>{" "}
          {from.name && <span class="muted address">&lt;{from.address}&gt;</span>}
        </p>
        <People label="To" people={envelope.to} otherwise={envelope.rcpt} />
        {envelope.cc.length > 0 && <People label="Cc" people={envelope.cc} otherwise="" />}
        {replyTo.length > 0 && <People label="Answers go to" people={replyTo} otherwise="" />}
      </div>
      <div class="reader-when">
        <time dateTime={row.received.toISOString()}>{longTime(row.received)}</time>
        {row.expires && (
          <span class="expiry">
            <Icon name="clock" size={15} /> Gone in {untilTime(row.expires)}
          </span>
        )}
      </div>
      <AuthenticationLine envelope={envelope} />
    </header>
  );
}

function People({ label, people, otherwise }: { label: string; people: Person[]; otherwise: string }) {
  const shown = people.slice(0, 6).map((one) => (one.name ? `${one.name} <${one.address}>` : one.address));
  if (people.length > 6) shown.push(`and ${people.length - 6} more`);
  return (
    <p class="muted address">
      {label} {shown.join(", ") || otherwise}
    </p>
  );
}

function Body({ mail, onLink }: { mail: OpenedMail; onLink: (target: Target) => void }) {
  const [asText, setAsText] = useState(false);
  const { blocks, inner, truncated } = mail.view;
  const both = blocks.some((block) => block.html !== null && block.text !== null);
  const safe = useMemo(() => blocks.map(safeHtmlOf), [mail]);
  return (
    <>
      <div class="reader-notes">
        <KeptOut safe={safe} />
        {both && (
          <button type="button" class="link" onClick={() => setAsText(!asText)}>
            {asText ? "Show as designed" : "Show as plain text"}
          </button>
        )}
      </div>
      {inner === "encrypted" && (
        <Notice kind="info">
          Its sender encrypted it once more (PGP/MIME). This inner layer is not opened here; save the parts.
        </Notice>
      )}
      {truncated && (
        <Notice kind="warning">This message has more parts than can be shown. All of it is in its source.</Notice>
      )}
      {blocks.length === 0 && <p class="muted">This message has no text.</p>}
      {blocks.map((block, i) => (
        <BlockView
          key={i}
          block={block}
          safe={asText && block.text !== null ? null : (safe[i] ?? null)}
          mail={mail}
          onLink={onLink}
        />
      ))}
      <Attachments mail={mail} embedded={embeddedIn(safe)} />
    </>
  );
}

function embeddedIn(safe: (SafeHtml | null)[]): ReadonlySet<string> {
  return new Set(safe.flatMap((one) => one?.embedded.map(({ contentId }) => contentId) ?? []));
}

/** Null for what cannot be made harmless: it is then shown as text or not at all. */
function safeHtmlOf(block: Block): SafeHtml | null {
  if (block.html === null) return null;
  try {
    return sanitizeHtml(block.html);
  } catch {
    return null;
  }
}

interface BlockProps {
  block: Block;
  safe: SafeHtml | null;
  mail: OpenedMail;
  onLink: (target: Target) => void;
}

function BlockView({ block, safe, mail, onLink }: BlockProps) {
  return (
    <>
      {(block.withheld || (block.html !== null && block.text === null && !safe)) && (
        <Notice kind="warning">
          A part of this message is too large or too intricate to be built here. All of it is in its source.
        </Notice>
      )}
      {safe ? (
        <MailHtml safe={safe} imageFor={(contentId) => mail.imageFor(contentId)} onLink={onLink} />
      ) : (
        block.text !== null && <MailText text={block.text} onLink={onLink} />
      )}
    </>
  );
}

function KeptOut({ safe }: { safe: (SafeHtml | null)[] }) {
  const sum = (key: "remoteImages" | "forms" | "scripts") =>
    safe.reduce((all, one) => all + (one?.removed[key] ?? 0), 0);
  const counted: [number, string][] = [
    [sum("remoteImages"), "remote image"],
    [sum("scripts"), "script or embedded page"],
    [sum("forms"), "form"],
  ];
  const words = counted
    .filter(([count]) => count > 0)
    .map(([count, noun]) => `${count} ${count === 1 ? noun : pluralOf(noun)}`);
  if (words.length === 0) return null;
  return (
    <p class="kept-out">
      <Icon name="shield" size={16} /> Kept out: {words.join(", ")}
    </p>
  );
}

function pluralOf(noun: string): string {
  return noun === "script or embedded page" ? "scripts or embedded pages" : noun + "s";
}

/** The source of a mail that could not be taken apart. */
function sourceWithoutParsing(load: () => Promise<Bytes>): SourceReader {
  return {
    async sourceText() {
      const bytes = await load();
      return { text: new TextDecoder().decode(bytes.subarray(0, 256 * 1024)), total: bytes.length };
    },
    sourceBytes: load,
  };
}
