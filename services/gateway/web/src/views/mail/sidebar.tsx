/** Folders with what is unread in them, the user's own ones with names that only the user can read, and the space used. */
import { useState } from "preact/hooks";
import { asSentence } from "../../api/http";
import { bytes } from "../../lib/format";
import { navigate } from "../../lib/router";
import { addFolder, dropFolder, folders, renameFolder, usage, type FolderView } from "../../state/mailbox";
import { account } from "../../state/session";
import { toast } from "../../state/toast";
import { write } from "../../state/write";
import { Confirm, Dialog } from "../../ui/dialog";
import { Icon, type IconName } from "../../ui/icon";
import { Menu } from "../../ui/menu";
import { Button, IconButton, TextField } from "../../ui/parts";

export const FOLDER_ICON: Record<string, IconName> = {
  inbox: "inbox",
  drafts: "draft",
  sent: "send",
  archive: "archive",
  junk: "junk",
  trash: "trash",
};

type Asking = { kind: "new" } | { kind: "rename" | "delete"; folder: FolderView } | null;

export function Sidebar({ current, open, onClose }: { current: string; open: boolean; onClose: () => void }) {
  const [asking, ask] = useState<Asking>(null);
  return (
    <>
      {open && <div class="shade" onClick={onClose} />}
      <nav class={`sidebar ${open ? "open" : ""}`} aria-label="Folders">
        <Button look="primary" icon="pencil" class="write-button" title="Write (c)" onClick={() => begin(onClose)}>
          Write
        </Button>
        <ul>
          {folders.value
            .filter((folder) => !folder.own)
            .map((folder) => (
              <FolderRow key={folder.id} folder={folder} current={current} onClick={onClose} />
            ))}
          <li class={current === "contacts" ? "current" : ""}>
            <a href="/contacts" aria-current={current === "contacts" ? "page" : undefined} onClick={onClose}>
              <Icon name="contacts" />
              <span class="folder-name">Contacts</span>
            </a>
          </li>
          {account.value?.profile === "relay" && (
            <li>
              <a href="/sending" onClick={onClose}>
                <Icon name="code" />
                <span class="folder-name">Sending</span>
              </a>
            </li>
          )}
        </ul>
        <div class="sidebar-head">
          <h2>Folders</h2>
          <IconButton icon="plus" label="New folder" onClick={() => ask({ kind: "new" })} />
        </div>
        <ul>
          {folders.value
            .filter((folder) => folder.own)
            .map((folder) => (
              <FolderRow key={folder.id} folder={folder} current={current} onClick={onClose} ask={ask} />
            ))}
        </ul>
        <Usage />
      </nav>
      {asking?.kind === "new" && (
        <NameDialog title="New folder" name="" save={createAndOpen} onClose={() => ask(null)} />
      )}
      {asking?.kind === "rename" && (
        <NameDialog
          title="Rename folder"
          name={asking.folder.name}
          save={(name) => renameFolder(asking.folder.id, name)}
          onClose={() => ask(null)}
        />
      )}
      {asking?.kind === "delete" && <DeleteDialog folder={asking.folder} current={current} onClose={() => ask(null)} />}
    </>
  );
}

function begin(onClose: () => void): void {
  onClose();
  void write();
}

async function createAndOpen(name: string): Promise<void> {
  navigate(`/mail/${await addFolder(name)}`);
}

interface RowProps {
  folder: FolderView;
  current: string;
  onClick: () => void;
  ask?: (asking: Asking) => void;
}

function FolderRow({ folder, current, onClick, ask }: RowProps) {
  return (
    <li class={folder.id === current ? "current" : ""}>
      <a href={`/mail/${folder.id}`} aria-current={folder.id === current ? "page" : undefined} onClick={onClick}>
        <Icon name={FOLDER_ICON[folder.id] ?? "folder"} />
        <span class="folder-name">{folder.name}</span>
        {folder.unseen > 0 && (
          <span class="count" aria-label={`${folder.unseen} unread`}>
            {folder.unseen > 999 ? "999+" : folder.unseen}
          </span>
        )}
      </a>
      {ask && (
        <Menu
          label={`Actions for ${folder.name}`}
          button={<Icon name="pencil" size={15} />}
          items={[
            { icon: "pencil", label: "Rename", run: () => ask({ kind: "rename", folder }) },
            { icon: "trash", label: "Delete folder", danger: true, run: () => ask({ kind: "delete", folder }) },
          ]}
        />
      )}
    </li>
  );
}

function Usage() {
  const box = usage.value;
  if (!box) return null;
  const share = box.quota_bytes > 0 ? box.used_bytes / box.quota_bytes : 0;
  return (
    <a class="usage" href="/settings/storage">
      <meter min={0} max={1} high={0.9} optimum={0} value={share} aria-hidden="true" />
      <span>
        <span class="visually-hidden">Space used: </span>
        {bytes(box.used_bytes)}
        {box.quota_bytes > 0 && ` of ${bytes(box.quota_bytes)}`}
      </span>
    </a>
  );
}

interface NameProps {
  title: string;
  name: string;
  save: (name: string) => Promise<void>;
  onClose: () => void;
}

function NameDialog({ title, name: before, save, onClose }: NameProps) {
  const [name, setName] = useState(before);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await save(name.trim());
      onClose();
    } catch (failure) {
      setError(asSentence(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <TextField
          label="Name"
          hint="Sealed with your key: the server stores it but cannot read it"
          autocomplete="off"
          maxLength={80}
          autoFocus
          value={name}
          error={error || undefined}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy} disabled={name.trim() === ""}>
            Save
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ folder, current, onClose }: { folder: FolderView; current: string; onClose: () => void }) {
  const remove = async () => {
    try {
      await dropFolder(folder.id);
      if (folder.id === current) navigate("/mail/inbox");
      toast(`Folder deleted`);
    } catch (error) {
      toast(asSentence(error), { kind: "error" });
    }
  };
  return (
    <Confirm
      title="Delete this folder?"
      action="Delete folder"
      danger
      onConfirm={() => void remove()}
      onClose={onClose}
    >
      <p>
        <strong>{folder.name}</strong> goes; the messages in it move to the inbox.
      </p>
    </Confirm>
  );
}
