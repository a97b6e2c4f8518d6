/** One message: who, when, how sure that is, what it says, what it brings; and the ways to look behind it. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import type { Readers } from "../api/types";
import type { Bytes } from "../lib/encoding";
import type { Block } from "../mail/decode";
import type { Target } from "../mail/links";
import type { OpenedMail } from "../mail/opened";
import type { ReplyKind } from "../mail/reply";
import { sanitizeHtml, type SafeHtml } from "../mail/sanitize";
import type { Row } from "../state/list";
import type { OpenedMessage } from "../state/opening";
import { AnswerButtons, AnswerRow, openAnswer } from "./answer";
import { Attachments } from "./attachments";
import { Icon } from "./icon";
import { LinkDialog } from "./link-dialog";
import { MailHtml } from "./mail-html";
import { MailText } from "./mail-text";
import { subjectOf } from "./message-list";
import { Button, IconButton, Notice, Waiting } from "./parts";
import { ReaderHead } from "./reader-head";
import { ReadersDialog } from "./readers";
import { SourceDialog, type SourceReader } from "./source";

interface ReaderProps {
  row: Row;
  /** Opens the mail; `lookUp`: the sender's domain may be asked for a key. */
  load: (lookUp: boolean) => Promise<OpenedMessage>;
  /** The bytes of the mail, for when it cannot be taken apart. */
  bytes: () => Promise<Bytes>;
  readers: () => Promise<Readers>;
  actions: ComponentChildren;
  backTo: string;
  /** Sealed by its sender: who that is, only the signature says. */
  bySender?: boolean;
  onOpened?: () => void;
  onAnswer?: (kind: ReplyKind, opened: OpenedMessage) => void;
}

type Opened = { message: OpenedMessage } | { error: unknown } | null;

function useOpened({ row, load, onOpened }: ReaderProps, lookUp: boolean): [Opened, () => void] {
  const [opened, setOpened] = useState<Opened>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let current = true;
    let message: OpenedMessage | null = null;
    setOpened(null);
    load(lookUp)
      .then((loaded) => {
        if (!current) return loaded.close();
        message = loaded;
        setOpened({ message });
        onOpened?.();
      })
      .catch((error: unknown) => current && setOpened({ error }));
    return () => {
      current = false;
      message?.close();
    };
  }, [row.id, attempt, lookUp]);
  return [opened, () => setAttempt(attempt + 1)];
}

export function Reader(props: ReaderProps) {
  const { row, bytes, readers, actions, backTo, onAnswer } = props;
  const [lookUp, setLookUp] = useState(false);
  const [opened, retry] = useOpened(props, lookUp);
  const [dialog, setDialog] = useState<"" | "readers" | "source">("");
  const [target, setTarget] = useState<Target | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [row.id]);
  const message = opened && "message" in opened ? opened.message : null;
  const answer = onAnswer && message ? (kind: ReplyKind) => onAnswer(kind, message) : null;
  useEffect(() => {
    openAnswer.current = answer;
    return () => void (openAnswer.current = null);
  });
  return (
    <article class="reader" aria-labelledby="subject">
      <div class="reader-bar" role="toolbar" aria-label="Message">
        <a class="icon-button back" href={backTo} aria-label="Back to the list" title="Back to the list (u)">
          <Icon name="back" />
        </a>
        {onAnswer && <AnswerButtons answer={answer} />}
        {actions}
        <span class="gap" />
        <IconButton icon="people" label="Who can read this" onClick={() => setDialog("readers")} />
        <IconButton icon="code" label="Show source" onClick={() => setDialog("source")} />
      </div>
      <div class="reader-scroll">
        <h1 id="subject" ref={heading} tabIndex={-1}>
          {message?.check && message.mail.view.subject ? message.mail.view.subject : subjectOf(row)}
        </h1>
        <ReaderHead row={row} message={message} bySender={props.bySender ?? false} onCheck={() => setLookUp(true)} />
        {opened === null && <Waiting text="Opening" />}
        {opened && "error" in opened && (
          <Unreadable error={opened.error} retry={retry} source={() => setDialog("source")} />
        )}
        {message && <Body message={message} onLink={setTarget} />}
        {answer && <AnswerRow answer={answer} />}
      </div>
      {dialog === "readers" && <ReadersDialog load={readers} onClose={() => setDialog("")} />}
      {dialog === "source" && (
        <SourceDialog mail={message?.mail ?? sourceWithoutParsing(bytes)} onClose={() => setDialog("")} />
      )}
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

function Body({ message, onLink }: { message: OpenedMessage; onLink: (target: Target) => void }) {
  const [asText, setAsText] = useState(false);
  const { mail, closed } = message;
  const { blocks, truncated } = mail.view;
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
      {closed && (
        <Notice kind="info">
          Its sender encrypted it once more, but not to your key, or not in a way that is opened here; save the parts.
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
