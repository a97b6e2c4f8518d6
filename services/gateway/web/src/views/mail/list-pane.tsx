/** The list of the open folder, with its selection and its states: waiting, empty, nothing found, failed. */
import { currentFolder, folders, list, search, selected, shownRows, toggleSelected } from "../../state/mailbox";
import { account } from "../../state/session";
import { ListSkeleton, MessageRows } from "../../ui/message-list";
import { Empty, Failure, IconButton } from "../../ui/parts";
import { MessageActions } from "./actions";
import { FOLDER_ICON } from "./sidebar";

interface Props {
  current: string;
  focused: string;
  onGone: () => void;
}

export function ListPane({ current, focused, onGone }: Props) {
  const folder = folders.value.find((one) => one.id === currentFolder.value);
  return (
    <section class="list-pane" aria-label="Messages">
      <header class="list-head">
        {selected.value.size > 0 ? (
          <SelectionBar onGone={onGone} />
        ) : (
          <>
            <h1>{folder?.name ?? "Folder"}</h1>
            <span class="muted">{folder && folder.messages > 0 ? folder.messages.toLocaleString() : ""}</span>
            <span class="gap" />
            <IconButton icon="refresh" label="Look for new messages" onClick={() => void list.value?.load()} />
          </>
        )}
      </header>
      <Rows current={current} focused={focused} name={folder?.name ?? "Folder"} />
    </section>
  );
}

function SelectionBar({ onGone }: { onGone: () => void }) {
  const ids = selected.value;
  const all = shownRows.value;
  const everything = all.every((row) => ids.has(row.id));
  return (
    <div class="selection" role="toolbar" aria-label="Selected messages">
      <label class="pick">
        <input
          type="checkbox"
          aria-label="Select all that are loaded"
          checked={everything}
          onChange={() => (selected.value = everything ? new Set() : new Set(all.map((row) => row.id)))}
        />
      </label>
      <span aria-live="polite">{ids.size} selected</span>
      <span class="gap" />
      <MessageActions ids={ids} onGone={onGone} />
      <IconButton icon="close" label="Select nothing" onClick={() => (selected.value = new Set())} />
    </div>
  );
}

function Rows({ current, focused, name }: { current: string; focused: string; name: string }) {
  const messages = list.value;
  const state = messages?.state.value ?? "loading";
  const rows = shownRows.value;
  if (!messages || (state === "loading" && messages.rows.value.length === 0)) return <ListSkeleton />;
  if (state === "failed" && messages.rows.value.length === 0) {
    return <Failure error={messages.error.value} retry={() => void messages.load()} />;
  }
  if (rows.length === 0) return <NoRows />;
  return (
    <MessageRows
      label={name}
      rows={rows}
      current={current}
      focused={focused}
      selected={selected.value}
      hrefOf={(row) =>
        currentFolder.value === "drafts" ? `/write/${row.id}` : `/mail/${currentFolder.value}/${row.id}`
      }
      showRecipients={currentFolder.value === "drafts" || currentFolder.value === "sent"}
      onSelect={toggleSelected}
      onEnd={() => void messages.more()}
      loading={state === "more"}
      failed={state === "failed"}
    />
  );
}

function NoRows() {
  if (search.value.trim() !== "") {
    return (
      <Empty icon="search" title="Nothing found">
        Only messages that are loaded are searched: what the server holds is sealed, even to its own search.
      </Empty>
    );
  }
  if (currentFolder.value === "inbox") {
    return (
      <Empty icon="inbox" title="Your inbox is empty">
        New messages to <span class="address">{account.value?.address}</span> appear here by themselves.
      </Empty>
    );
  }
  if (currentFolder.value === "drafts") {
    return (
      <Empty icon="draft" title="No drafts">
        What you begin to write is kept here, sealed with your key, until you send it.
      </Empty>
    );
  }
  if (currentFolder.value === "sent") {
    return (
      <Empty icon="send" title="Nothing sent yet">
        Your own copy of each message is kept here, sealed to you alone.
      </Empty>
    );
  }
  return <Empty icon={FOLDER_ICON[currentFolder.value] ?? "folder"} title="Nothing here" />;
}
