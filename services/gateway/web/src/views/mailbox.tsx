/** The mailbox: folders, list, reading; three panes on a wide screen, one at a time on a telephone. */
import { useEffect, useState } from "preact/hooks";
import { mail } from "../api/calls";
import { PATIENT, vault } from "../crypto/vault";
import { navigate } from "../lib/router";
import {
  currentFolder,
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
import type { Row } from "../state/list";
import { useTitle } from "../ui/frame";
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
  const [focused, setFocused] = useState("");
  const [deleting, setDeleting] = useState<ReadonlySet<string> | null>(null);
  useEffect(startMailbox, []);
  useEffect(() => openFolder(folder), [folder]);
  useEffect(() => void (id && setFocused(id)), [id]);
  const view = folders.value.find((one) => one.id === folder);
  useTitle(view ? (view.unseen > 0 ? `${view.name} (${view.unseen})` : view.name) : "Mail");
  const base = `/mail/${folder}`;
  const back = () => navigate(base);
  useKeys(keyActions({ base, id, focused, setFocused, help: () => setHelp(true), remove: setDeleting }));
  return (
    <div class={`mailbox ${id ? "reading" : ""}`}>
      <MailTop onMenu={() => setMenu(true)} onHelp={() => setHelp(true)} />
      <div class="body">
        <Sidebar current={folder} open={menu} onClose={() => setMenu(false)} />
        <main id="content" class="panes" tabIndex={-1}>
          <ListPane current={id} focused={focused} onGone={() => id && selected.value.has(id) && back()} />
          <section class="reader-pane" aria-label="Reading">
            <Reading id={id} base={base} back={back} />
          </section>
        </main>
      </div>
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
      load={async () => {
        const sealed = await mail.body(row.id);
        return vault.call("openBody", { sealed }, { timeout: PATIENT, transfer: [sealed.buffer] });
      }}
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
  base: string;
  id: string;
  focused: string;
  setFocused: (id: string) => void;
  help: () => void;
  remove: (ids: ReadonlySet<string>) => void;
}

function keyActions({ base, id, focused, setFocused, help, remove }: KeyContext) {
  const chosen = (): ReadonlySet<string> => (selected.value.size > 0 ? selected.value : new Set(focused ? [focused] : []));
  const step = (by: number) => {
    const rows = shownRows.value;
    const at = rows.findIndex((row) => row.id === focused);
    const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
    if (!next) return;
    setFocused(next.id);
    if (id) navigate(`${base}/${next.id}`, { replace: true });
  };
  /** Acts on what is chosen and leaves the focus on the message that follows. */
  const leave = (act: (ids: ReadonlySet<string>) => void) => {
    const ids = chosen();
    if (ids.size === 0) return;
    const rows = shownRows.value;
    const at = rows.findIndex((row) => ids.has(row.id));
    const next = rows.slice(at).find((row) => !ids.has(row.id)) ?? rows.slice(0, at).at(-1);
    setFocused(next?.id ?? "");
    if (id && ids.has(id)) navigate(base);
    act(ids);
  };
  const flag = (name: "seen" | "flagged", on: boolean) => chosen().size > 0 && void setFlag(chosen(), name, on);
  return {
    next: () => step(1),
    previous: () => step(-1),
    open: () => focused && navigate(`${base}/${focused}`),
    back: () => (selected.value.size > 0 ? (selected.value = new Set()) : navigate(base)),
    archive: () => currentFolder.value !== "archive" && leave((ids) => void move(ids, "archive")),
    remove: () => {
      if (currentFolder.value !== "trash") leave((ids) => void move(ids, "trash"));
      else if (chosen().size > 0) remove(new Set(chosen()));
    },
    read: () => flag("seen", true),
    unread: () => flag("seen", false),
    star: () => {
      const ids = chosen();
      const starred = shownRows.value.filter((row) => ids.has(row.id)).every((row) => row.flags.has("flagged"));
      flag("flagged", !starred);
    },
    select: () => focused && toggleSelected(focused),
    search: () => document.getElementById("search")?.focus(),
    help,
    goInbox: () => navigate("/mail/inbox"),
    goArchive: () => navigate("/mail/archive"),
  };
}
