/** The form of one mail: recipients, subject, text, enclosures, and the ways on. */
import { useEffect, useRef, useState } from "preact/hooks";
import { domainOf } from "../../mail/address";
import { bytes, shortTime } from "../../lib/format";
import { navigate } from "../../lib/router";
import type { Composer } from "../../state/composer";
import { info } from "../../state/info";
import { wantRoutes } from "../../state/recipients";
import { afterSending, discard } from "../../state/write";
import { AddressField } from "../../ui/address-field";
import { Confirm } from "../../ui/dialog";
import { GrowingText } from "../../ui/growing-text";
import { Icon } from "../../ui/icon";
import { Button, IconButton, Notice } from "../../ui/parts";
import { standingOf, summaryOf } from "../../ui/route";
import { AttachButton, AttachmentList, useDrop } from "./attached";
import { SendingPanel } from "./progress";
import { SendQuestion, useSending } from "./send";

export function ComposerForm({ composer }: { composer: Composer }) {
  const [asking, ask] = useState(false);
  const sender = useSending(composer);
  useSendKey(sender.begin);
  const drop = useDrop(composer);
  const people = composer.people.value;
  useEffect(() => wantRoutes(people.map((one) => one.address)), [people]);
  const sending = composer.sending.value;
  const busy = sending !== null;
  return (
    <form
      class={`write ${drop.over ? "dropping" : ""}`}
      aria-label="Message"
      onSubmit={(event) => event.preventDefault()}
      {...drop.events}
    >
      <WriteBar
        composer={composer}
        stopped={busy}
        busy={sender.checking || (sending?.running.value ?? false)}
        onSend={sender.begin}
        onDiscard={() => ask(true)}
      />
      <div class="write-scroll">
        {composer.foreign && (
          <Notice kind="warning">
            This draft is not signed with your key: somebody else may have put it here. Read it well before you send it.
          </Notice>
        )}
        {sender.problem && <Notice kind="error">{sender.problem}</Notice>}
        <SendingPanel composer={composer} again={sender.again} />
        <fieldset class="write-fields" disabled={busy}>
          <legend class="visually-hidden">Message</legend>
          <Fields composer={composer} />
        </fieldset>
      </div>
      {drop.over && <p class="drop-here">Drop files to attach them</p>}
      {sender.question && (
        <SendQuestion question={sender.question} composer={composer} onSend={sender.agree} onClose={sender.cancel} />
      )}
      {asking && <DiscardQuestion composer={composer} onClose={() => ask(false)} />}
    </form>
  );
}

interface BarProps {
  composer: Composer;
  busy: boolean;
  /** it is being sent, or was in part */
  stopped: boolean;
  onSend: () => void;
  onDiscard: () => void;
}

function WriteBar({ composer, busy, stopped, onSend, onDiscard }: BarProps) {
  return (
    <div class="write-bar" role="toolbar" aria-label="Sending">
      <IconButton icon="back" label="Back; the draft is kept" onClick={() => afterSending()} />
      <h1>{composer.subject.value || "New message"}</h1>
      <SavedNote composer={composer} />
      <AttachButton composer={composer} disabled={stopped} />
      <IconButton icon="trash" label="Discard" disabled={busy} onClick={onDiscard} />
      <Button look="primary" icon="send" busy={busy} disabled={stopped} title="Send (Ctrl+Enter)" onClick={onSend}>
        Send
      </Button>
    </div>
  );
}

/** Ctrl+Enter sends from anywhere on the page: the focus may lie outside of the form just then, as after a chip has gone. */
function useSendKey(send: () => void): void {
  const latest = useRef(send);
  latest.current = send;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      latest.current();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

function SavedNote({ composer }: { composer: Composer }) {
  const saving = composer.saving.value;
  const at = composer.savedAt.value;
  const text: Record<typeof saving, string> = {
    new: "",
    changed: "",
    saving: "Keeping the draft…",
    kept: at ? `Draft kept ${shortTime(at)}` : "Draft",
    failed: "Draft not kept",
  };
  return (
    <span
      class={`saved-note ${saving === "failed" ? "danger-text" : ""}`}
      role="status"
      title={composer.saveError.value}
    >
      {text[saving]}
    </span>
  );
}

function Fields({ composer }: { composer: Composer }) {
  const { to, cc, bcc, subject } = composer;
  const [more, setMore] = useState(cc.value.length + bcc.value.length > 0);
  const others = new Set(composer.people.value.map((one) => one.address.toLowerCase()));
  const common = { delivered: composer.delivered, others };
  const fresh = to.value.length === 0;
  const [focusTo] = useState(fresh);
  return (
    <>
      <div class="write-to">
        <AddressField label="To" people={to} autoFocus={focusTo} {...common} />
        {!more && (
          <button type="button" class="link" onClick={() => setMore(true)}>
            Cc, Bcc
          </button>
        )}
      </div>
      {more && <AddressField label="Cc" people={cc} {...common} />}
      {more && <AddressField label="Bcc" people={bcc} {...common} />}
      <Summary composer={composer} />
      <div class="write-subject">
        <label for="write-subject">Subject</label>
        <input
          id="write-subject"
          type="text"
          autocomplete="off"
          maxLength={500}
          value={subject.value}
          onInput={(event) => (subject.value = event.currentTarget.value)}
        />
      </div>
      <AttachmentList composer={composer} />
      <SizeNote composer={composer} />
      <GrowingText
        label="Text"
        value={composer.text}
        autoFocus={!focusTo}
        onFiles={(files) => composer.attach(files.map((file) => ({ name: file.name, type: file.type, content: file })))}
      />
    </>
  );
}

function Summary({ composer }: { composer: Composer }) {
  const people = composer.people.value;
  const standings = people.map((one) => standingOf(one, composer.delivered));
  const summary = summaryOf(standings);
  const domains = new Set(people.filter((_, i) => standings[i] === "open").map((one) => domainOf(one.address)));
  if (!summary) return null;
  return (
    <p class={`write-summary ${summary.tone}`} role="status">
      <Icon name={summary.icon} size={17} />
      <span>
        {summary.text}
        {summary.tone === "open" &&
          domains.size > 0 &&
          ` The mail servers on the way to ${[...domains].slice(0, 3).join(", ")}${domains.size > 3 ? " and others" : ""} can read it.`}
      </span>
    </p>
  );
}

function SizeNote({ composer }: { composer: Composer }) {
  const most = info.value?.max_message_bytes ?? 0;
  const size = composer.size.value;
  if (most === 0 || (composer.attachments.value.length === 0 && size < most / 10)) return null;
  const over = size > most;
  return (
    <p class={over ? "field-error" : "hint"} role={over ? "alert" : undefined}>
      {over && <Icon name="warning" size={15} />}
      {bytes(size)} of {bytes(most)} that a message may have, as it travels.
      {over && " Remove an attachment."}
    </p>
  );
}

function DiscardQuestion({ composer, onClose }: { composer: Composer; onClose: () => void }) {
  const run = () => {
    void discard(composer);
    navigate("/mail/inbox", { replace: true });
  };
  return (
    <Confirm title="Discard this message?" action="Discard" danger onConfirm={run} onClose={onClose}>
      <p>The draft goes too. This cannot be undone.</p>
    </Confirm>
  );
}
