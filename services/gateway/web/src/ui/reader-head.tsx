/** The head of a message: who, to whom, when, and how sure the first of these is. */
import { addressKey } from "../mail/address";
import type { Envelope, Person } from "../mail/envelope";
import { longTime, untilTime } from "../lib/format";
import type { MailView } from "../mail/decode";
import type { Row } from "../state/list";
import type { OpenedMessage } from "../state/opening";
import { account } from "../state/session";
import { AuthenticationLine } from "./authentication";
import { Icon } from "./icon";
import { Notice } from "./parts";
import { SenderLine } from "./sender-check";

interface Props {
  row: Row;
  message: OpenedMessage | null;
  bySender: boolean;
  onCheck: () => void;
}

interface Shown {
  from: Person;
  to: Person[];
  cc: Person[];
  bcc: Person[];
}

export function ReaderHead({ row, message, bySender, onCheck }: Props) {
  const envelope = row.envelope;
  if (!envelope) return null;
  const check = message?.check ?? null;
  const shown = shownOf(envelope, check ? message!.mail.view : null);
  const { from } = shown;
  const claimed = (bySender || check !== null) && check?.signature !== "verified";
  const replyTo = (message?.mail.view.replyTo ?? []).filter(
    (one) => addressKey(one.address) !== addressKey(from.address),
  );
  return (
    <>
      <header class="reader-head">
        <div class={`avatar ${claimed ? "unsure" : ""}`} aria-hidden="true">
          {claimed ? "?" : (from.name || from.address || "?").slice(0, 1).toUpperCase()}
        </div>
        <div class="reader-who">
          <p>
            {claimed && check && <span class="claimed">Says it is from </span>}
            <strong>{from.name || from.address || "(no sender)"}</strong>{" "}
            {from.name && <span class="muted address">&lt;{from.address}&gt;</span>}
          </p>
          <People label="To" people={shown.to} otherwise={bySender ? "" : envelope.rcpt} />
          {shown.cc.length > 0 && <People label="Cc" people={shown.cc} otherwise="" />}
          {shown.bcc.length > 0 && <People label="Bcc" people={shown.bcc} otherwise="" />}
          {replyTo.length > 0 && <People label="Answers go to" people={replyTo} otherwise="" />}
        </div>
        <When row={row} />
        {check && <SenderLine check={check} onCheck={onCheck} />}
        {!bySender && <AuthenticationLine envelope={envelope} />}
      </header>
      <Oddities row={row} message={message} shown={shown} />
    </>
  );
}

/** What was signed counts; the envelope is what the list was told. */
function shownOf(envelope: Envelope, signed: MailView | null): Shown {
  const { from, to, cc } = envelope;
  const [writer] = signed?.from ?? [];
  if (!signed || !writer) return { from, to, cc, bcc: signed?.bcc ?? [] };
  return { from: writer, to: signed.to, cc: signed.cc, bcc: signed.bcc };
}

function When({ row }: { row: Row }) {
  return (
    <div class="reader-when">
      <time dateTime={row.received.toISOString()}>{longTime(row.received)}</time>
      {row.expires && (
        <span class="expiry">
          <Icon name="clock" size={15} /> Gone in {untilTime(row.expires)}
        </span>
      )}
    </div>
  );
}

function Oddities({ row, message, shown }: { row: Row; message: OpenedMessage | null; shown: Shown }) {
  const check = message?.check;
  if (!message || check?.how !== "sealed") return null;
  const me = addressKey(account.value?.address ?? "");
  const among = [...shown.to, ...shown.cc, ...shown.bcc].some((one) => addressKey(one.address) === me);
  const listed = row.envelope;
  const differs =
    listed &&
    (addressKey(listed.from.address) !== addressKey(shown.from.address) ||
      listed.subject !== message.mail.view.subject);
  return (
    <>
      {differs && (
        <Notice kind="warning">The list showed another sender or subject than the message itself has.</Notice>
      )}
      {!among && !check.own && (
        <Notice kind="info">
          Your address is not among its recipients: it is a blind copy, or somebody passed it on to you.
        </Notice>
      )}
    </>
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
