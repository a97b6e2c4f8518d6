/** The mailbox: folders, list, reading; three panes on a wide screen, one at a time on a telephone. */
import { useEffect, useState } from "preact/hooks";
import { mail } from "../api/calls";
import { navigate, path, pieces } from "../lib/router";
import {
  currentFolder,
  focused,
  folders,
  list,
  move,
  openFolder,
  selected,
  setFlag,
  shownRows,
  startMailbox,
  toggleSelected,
} from "../state/mailbox";
import { answer } from "../state/answer";
import type { Row } from "../state/list";
import { bodyOf, isBySender, openMessage } from "../state/opening";
import { write } from "../state/write";
import { openAnswer } from "../ui/answer";
import { useTitle } from "../ui/frame";
import { Icon } from "../ui/icon";
import { Empty, Waiting } from "../ui/parts";
import { Reader } from "../ui/reader";
import { useRow } from "../ui/use-row";
import { DeleteForGood, MessageActions } from "./mail/actions";
import { HelpDialog } from "./mail/help";
import { useKeys } from "./mail/keys";
import { ListPane } from "./mail/list-pane";
import { Sidebar } from "./mail/sidebar";
import { MailTop } from "./mail/top";
import "../styles/mail.css";

interface Props {
  folder: string;
  id: string;
}

export default function MailboxView({ folder, id }: Props) {
  const [menu, setMenu] = useState(false);
  const [help, setHelp] = useState(false);
  const [deleting, setDeleting] = useState<ReadonlySet<string> | null>(null);
  useEffect(startMailbox, []);
  useEffect(() => openFolder(folder), [folder]);
  useEffect(() => void (id && (focused.value = id)), [id]);
  const view = folders.value.find((one) => one.id === folder);
  useTitle(view ? (view.unseen > 0 ? `${view.name} (${view.unseen})` : view.name) : "Mail");
  const back = () => navigate(base());
  useKeys(keyActions({ help: () => setHelp(true), remove: setDeleting }));
  return (
    <div class={`mailbox ${id ? "reading" : ""}`}>
      <MailTop onMenu={() => setMenu(true)} onHelp={() => setHelp(true)} />
      <div class="body">
        <Sidebar current={folder} open={menu} onClose={() => setMenu(false)} />
        <main id="content" class="panes" tabIndex={-1}>
          <ListPane current={id} focused={focused.value} onGone={() => id && selected.value.has(id) && back()} />
          <section class="reader-pane" aria-label="Reading">
            <Reading id={id} base={`/mail/${folder}`} back={back} />
          </section>
        </main>
      </div>
      <button type="button" class="write-float only-narrow" aria-label="Write" onClick={() => void write()}>
        <Icon name="pencil" size={24} />
      </button>
      {help && <HelpDialog onClose={() => setHelp(false)} />}
      {deleting && <DeleteForGood ids={deleting} onGone={back} onClose={() => setDeleting(null)} />}
    </div>
  );
}

function Reading({ id, base, back }: { id: string; base: string; back: () => void }) {
  const row = useRow(list.value, id);
  if (id === "") return <Empty icon="mailOpen" title="Choose a message to read it" />;
  if (row === undefined) return <Waiting text="Opening" />;
  if (row === "gone") return <Empty icon="trash" title="This message is gone" />;
  return <SealedReader row={row} base={base} back={back} />;
}

function SealedReader({ row, base, back }: { row: Row; base: string; back: () => void }) {
  const ids = new Set([row.id]);
  return (
    <Reader
      row={row}
      load={(lookUp) => openMessage(row, lookUp)}
      bytes={() => bodyOf(row)}
      bySender={isBySender(row)}
      onAnswer={(kind, opened) => void answer(kind, row, opened)}
      readers={() => mail.readers(row.id)}
      backTo={base}
      onOpened={() => {
        if (!row.flags.has("seen")) void setFlag(ids, "seen", true);
      }}
      actions={<MessageActions ids={ids} onGone={back} />}
    />
  );
}

interface KeyContext {
  help: () => void;
  remove: (ids: ReadonlySet<string>) => void;
}

/** Everything is read when a key comes, not when the view was drawn: fast fingers are faster than drawing. */
function keyActions({ help, remove }: KeyContext) {
  return {
    next: () => step(1),
    previous: () => step(-1),
    open: () => focused.value && navigate(pathOf(focused.value)),
    compose: () => void write(),
    reply: () => openAnswer.current?.("reply"),
    replyAll: () => openAnswer.current?.("all"),
    forward: () => openAnswer.current?.("forward"),
    back: () => (selected.value.size > 0 ? (selected.value = new Set()) : navigate(base())),
    archive: () => currentFolder.value !== "archive" && leaveFolder((ids) => void move(ids, "archive")),
    remove: () => {
      if (currentFolder.value !== "trash") leaveFolder((ids) => void move(ids, "trash"));
      else if (chosen().size > 0) remove(new Set(chosen()));
    },
    read: () => flag("seen", true),
    unread: () => flag("seen", false),
    star: () => {
      const ids = chosen();
      const starred = shownRows.value.filter((row) => ids.has(row.id)).every((row) => row.flags.has("flagged"));
      flag("flagged", !starred);
    },
    select: () => focused.value && toggleSelected(focused.value),
    search: () => document.getElementById("search")?.focus(),
    help,
    goInbox: () => navigate("/mail/inbox"),
    goDrafts: () => navigate("/mail/drafts"),
    goSent: () => navigate("/mail/sent"),
    goArchive: () => navigate("/mail/archive"),
  };
}

/** A draft is gone on with rather than read. */
const pathOf = (id: string) => (currentFolder.value === "drafts" ? `/write/${id}` : `${base()}/${id}`);
const base = () => `/mail/${currentFolder.value}`;
const openId = () => pieces(path.value)[2] ?? "";

function chosen(): ReadonlySet<string> {
  return selected.value.size > 0 ? selected.value : new Set(focused.value ? [focused.value] : []);
}

function step(by: number): void {
  const rows = shownRows.value;
  const at = rows.findIndex((row) => row.id === focused.value);
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  if (!next) return;
  focused.value = next.id;
  if (openId()) navigate(`${base()}/${next.id}`, { replace: true });
}

/** Acts on what is chosen and leaves the focus on the message that follows. */
function leaveFolder(act: (ids: ReadonlySet<string>) => void): void {
  const ids = chosen();
  if (ids.size === 0) return;
  const rows = shownRows.value;
  const at = rows.findIndex((row) => ids.has(row.id));
  const next = rows.slice(at).find((row) => !ids.has(row.id)) ?? rows.slice(0, at).at(-1);
  focused.value = next?.id ?? "";
  if (ids.has(openId())) navigate(base());
  act(ids);
}

function flag(name: "seen" | "flagged", on: boolean): void {
  const ids = chosen();
  if (ids.size > 0) void setFlag(ids, name, on);
}
