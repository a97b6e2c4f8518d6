/** What can be done with messages: the same buttons for one that is open and for many that are selected. */
import { useState } from "preact/hooks";
import { plural } from "../../lib/format";
import { currentFolder, folders, list, move, removeForGood, setFlag } from "../../state/mailbox";
import { Confirm } from "../../ui/dialog";
import { Icon } from "../../ui/icon";
import { Menu } from "../../ui/menu";
import { IconButton } from "../../ui/parts";
import { FOLDER_ICON } from "./sidebar";

interface Props {
  ids: ReadonlySet<string>;
  /** After the messages have left the folder. */
  onGone: () => void;
}

export function MessageActions({ ids, onGone }: Props) {
  const [asking, ask] = useState(false);
  const rows = (list.value?.rows.value ?? []).filter((row) => ids.has(row.id));
  const anyUnseen = rows.some((row) => !row.flags.has("seen"));
  const allStarred = rows.length > 0 && rows.every((row) => row.flags.has("flagged"));
  const folder = currentFolder.value;
  const moveTo = (to: string) => {
    onGone();
    void move(ids, to);
  };
  const targets = folders.value.filter((one) => one.id !== folder);
  return (
    <>
      {folder !== "archive" && <IconButton icon="archive" label="Archive (e)" onClick={() => moveTo("archive")} />}
      {folder === "trash" ? (
        <IconButton icon="trash" label="Delete for good (#)" onClick={() => ask(true)} />
      ) : (
        <IconButton icon="trash" label="To the trash (#)" onClick={() => moveTo("trash")} />
      )}
      <IconButton
        icon={anyUnseen ? "mailOpen" : "mail"}
        label={anyUnseen ? "Mark as read (I)" : "Mark as unread (U)"}
        onClick={() => void setFlag(ids, "seen", anyUnseen)}
      />
      <IconButton
        icon="star"
        filled={allStarred}
        pressed={allStarred}
        label="Star (s)"
        onClick={() => void setFlag(ids, "flagged", !allStarred)}
      />
      <Menu
        label="Move to"
        align="start"
        button={<Icon name="folder" />}
        items={targets.map((one) => ({
          icon: FOLDER_ICON[one.id] ?? "folder",
          label: one.name,
          run: () => moveTo(one.id),
        }))}
      />
      {asking && <DeleteForGood ids={ids} onGone={onGone} onClose={() => ask(false)} />}
    </>
  );
}

export function DeleteForGood({ ids, onGone, onClose }: Props & { onClose: () => void }) {
  const run = () => {
    onGone();
    void removeForGood(ids);
  };
  return (
    <Confirm
      title={`Delete ${plural(ids.size, "message")} for good?`}
      action="Delete for good"
      danger
      onConfirm={run}
      onClose={onClose}
    >
      <p>This cannot be undone: there is no copy to bring back.</p>
    </Confirm>
  );
}
