/**
 * The list of messages, drawn only where it is looked at: rows have one height, so a scroll position tells which of them are
 * on the screen, and a mailbox of a million stays light. Coming near the end asks for the next page.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { shortTime, untilTime } from "../lib/format";
import type { Envelope } from "../mail/envelope";
import type { Row } from "../state/list";
import { Icon } from "./icon";

export const ROW_HEIGHT = 84;
const AROUND = 6;

interface ListProps {
  label: string;
  rows: Row[];
  current: string;
  focused: string;
  selected?: ReadonlySet<string>;
  hrefOf: (row: Row) => string;
  onSelect?: (id: string) => void;
  onEnd: () => void;
  showExpiry?: boolean;
  /** in folders of what one wrote oneself */
  showRecipients?: boolean;
  loading: boolean;
  failed: boolean;
}

export function MessageRows(props: ListProps) {
  const { rows, focused, onEnd } = props;
  const box = useRef<HTMLDivElement>(null);
  const [window, setWindow] = useState({ from: 0, to: 30 });
  const measure = () => {
    const element = box.current;
    if (!element) return;
    const from = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - AROUND);
    const to = Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT) + AROUND;
    setWindow((old) => (old.from === from && old.to === to ? old : { from, to }));
    if (to >= rows.length && !props.failed) onEnd();
  };
  useLayoutEffect(measure, [rows.length]);
  useEffect(() => {
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  });
  useEffect(
    () =>
      scrollTo(
        box.current,
        rows.findIndex((row) => row.id === focused),
      ),
    [focused],
  );
  const shown = rows.slice(window.from, window.to);
  return (
    <div class="rows" ref={box} onScroll={measure} tabIndex={-1}>
      <ul aria-label={props.label} style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
        {shown.map((row, i) => (
          <MessageRow key={row.id} row={row} at={window.from + i} total={rows.length} {...props} />
        ))}
      </ul>
      {props.loading && <p class="rows-more">Loading more…</p>}
      {props.failed && (
        <p class="rows-more" role="alert">
          The rest could not be loaded.{" "}
          <button type="button" class="link" onClick={onEnd}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}

function scrollTo(box: HTMLElement | null, index: number): void {
  if (!box || index < 0) return;
  const top = index * ROW_HEIGHT;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW_HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_HEIGHT - box.clientHeight;
}

interface RowProps extends ListProps {
  row: Row;
  at: number;
  total: number;
}

function MessageRow({
  row,
  at,
  total,
  current,
  focused,
  selected,
  hrefOf,
  onSelect,
  showExpiry,
  showRecipients,
}: RowProps) {
  const unread = !row.flags.has("seen") && !showExpiry;
  const classes = ["row", unread && "unread", row.id === current && "current", row.id === focused && "focused"];
  const picked = selected?.has(row.id) ?? false;
  const envelope = row.envelope;
  return (
    <li
      class={classes.filter(Boolean).join(" ")}
      style={{ top: `${at * ROW_HEIGHT}px`, height: `${ROW_HEIGHT}px` }}
      aria-setsize={total}
      aria-posinset={at + 1}
    >
      {onSelect && (
        <label class="pick">
          <input
            type="checkbox"
            checked={picked}
            onChange={() => onSelect(row.id)}
            aria-label={`Select: ${subjectOf(row)}`}
          />
        </label>
      )}
      <a href={hrefOf(row)} aria-current={row.id === current ? "true" : undefined} data-id={row.id}>
        {envelope === undefined ? (
          <RowSkeleton />
        ) : (
          <RowText row={row} unread={unread} expiry={showExpiry ?? false} to={showRecipients ?? false} />
        )}
      </a>
    </li>
  );
}

function RowText({ row, unread, expiry, to }: { row: Row; unread: boolean; expiry: boolean; to: boolean }) {
  const envelope = row.envelope;
  const from = envelope
    ? to
      ? recipientsIn(envelope)
      : envelope.from.name || envelope.from.address || "(no sender)"
    : "Sealed message";
  return (
    <>
      <span class="row-line">
        {unread && <span class="dot" role="img" aria-label="Unread" />}
        <span class="row-from">{from}</span>
        <span class="row-marks">
          {row.flags.has("answered") && <Icon name="reply" size={15} />}
          {row.flags.has("flagged") && <Icon name="star" filled size={15} />}
          {(envelope?.attachments.length ?? 0) > 0 && <Icon name="paperclip" size={15} />}
          <time dateTime={row.received.toISOString()}>{shortTime(row.received)}</time>
        </span>
      </span>
      <span class="row-subject">{subjectOf(row)}</span>
      <span class="row-preview">
        {expiry && row.expires && <span class="expiry">Gone in {untilTime(row.expires)}</span>}
        {envelope ? envelope.preview : "This message does not open with your key."}
      </span>
    </>
  );
}

function recipientsIn({ to, cc }: Envelope): string {
  const names = [...to, ...cc].map((one) => one.name || one.address).filter(Boolean);
  return names.length > 0 ? `To ${names.slice(0, 5).join(", ")}` : "(no recipient)";
}

function RowSkeleton() {
  return (
    <span class="skeleton" aria-label="Opening">
      <i />
      <i />
      <i />
    </span>
  );
}

export function subjectOf(row: Row): string {
  if (!row.envelope) return row.envelope === undefined ? "…" : "(cannot be opened)";
  return row.envelope.subject || "(no subject)";
}

export function ListSkeleton() {
  return (
    <div class="rows" aria-hidden="true">
      {[0, 1, 2, 3, 4, 5].map((i) => (
        <div class="row-placeholder" key={i}>
          <RowSkeleton />
        </div>
      ))}
    </div>
  );
}
