/** The address book: whom one knows and wrote to. It is sealed here; the server keeps it without being able to read it. */
import { useEffect, useState } from "preact/hooks";
import { shortTime } from "../lib/format";
import { isAddress } from "../mail/address";
import { dropContact, inOrder, NO_BOOK, saveContact, suggest, type Contact } from "../mail/contacts";
import { book, sharedBook } from "../state/keeping";
import { startMailbox } from "../state/mailbox";
import { toast } from "../state/toast";
import { write } from "../state/write";
import { Dialog } from "../ui/dialog";
import { useTitle } from "../ui/frame";
import { Icon } from "../ui/icon";
import { Button, Empty, Failure, IconButton, Notice, TextField, Waiting } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { Sidebar } from "./mail/sidebar";
import { MailTop } from "./mail/top";
import "../styles/mail.css";
import "../styles/write.css";

const MOST_SHOWN = 1_500;
const NEW: Contact = { name: "", address: "", note: "", saved: true, count: 0, used: 0, key: "" };

export default function ContactsView() {
  const [menu, setMenu] = useState(false);
  const [editing, edit] = useState<Contact | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const load = () => {
    setFailure(null);
    sharedBook.load().catch(setFailure);
  };
  useEffect(startMailbox, []);
  useEffect(load, []);
  useTitle("Contacts");
  return (
    <div class="mailbox">
      <MailTop onMenu={() => setMenu(true)} plain />
      <div class="body">
        <Sidebar current="contacts" open={menu} onClose={() => setMenu(false)} />
        <main id="content" class="write-pane contacts" tabIndex={-1}>
          {failure && !book.value ? <Failure error={failure} retry={load} /> : <Book onEdit={edit} />}
        </main>
      </div>
      {editing && <EditDialog contact={editing} onClose={() => edit(null)} />}
    </div>
  );
}

function Book({ onEdit }: { onEdit: (contact: Contact) => void }) {
  const [words, setWords] = useState("");
  const all = book.value;
  if (!all) return <Waiting />;
  const shown = words.trim() ? suggest(all, words, new Set(), MOST_SHOWN) : inOrder(all);
  return (
    <>
      <header class="contacts-head">
        <h1>Contacts</h1>
        <span class="gap" />
        <Button look="primary" icon="plus" onClick={() => onEdit(NEW)}>
          Add
        </Button>
      </header>
      {all.contacts.length > 0 && (
        <TextField
          label="Find"
          type="search"
          autocomplete="off"
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
      )}
      {all.contacts.length === 0 && (
        <Empty icon="contacts" title="Nobody here yet">
          Whom you write to appears here, sealed with your key: the server cannot read it.
        </Empty>
      )}
      {all.contacts.length > 0 && shown.length === 0 && <p class="muted">Nobody of this name.</p>}
      <ul class="contact-list" aria-label="Contacts">
        {shown.map((one) => (
          <ContactRow key={one.address} contact={one} onEdit={() => onEdit(one)} />
        ))}
      </ul>
    </>
  );
}

function ContactRow({ contact, onEdit }: { contact: Contact; onEdit: () => void }) {
  const { name, address, note, saved, used } = contact;
  return (
    <li>
      <span class="avatar" aria-hidden="true">
        {(name || address).slice(0, 1).toUpperCase()}
      </span>
      <button type="button" class="contact-main" onClick={onEdit}>
        <strong>{name || address}</strong>
        <small class="address">
          {name && address}
          {name && note && " · "}
          {note}
        </small>
      </button>
      <small class="muted only-wide">
        {used > 0 ? `${saved ? "" : "Not saved · "}last written to ${shortTime(new Date(used))}` : ""}
      </small>
      <IconButton
        icon="mail"
        label={`Write to ${name || address}`}
        onClick={() => void write({ to: [{ name, address }] })}
      />
    </li>
  );
}

/** One contact on its way to be changed. */
function useEditing(contact: Contact, onClose: () => void) {
  const [name, setName] = useState(contact.name);
  const [address, setAddress] = useState(contact.address);
  const [note, setNote] = useState(contact.note);
  const action = useAction();
  const wrong = address !== "" && !isAddress(address.trim());
  const save = async () => {
    const given = { name, address: address.trim(), note };
    await sharedBook.update((all) => saveContact(all, contact.address, given));
    onClose();
  };
  const remove = async () => {
    await sharedBook.update((all) => dropContact(all, contact.address));
    toast("Contact deleted", { action: { label: "Undo", run: () => void bringBack(contact) } });
    onClose();
  };
  return { name, setName, address, setAddress, note, setNote, wrong, save, remove, action };
}

function EditDialog({ contact, onClose }: { contact: Contact; onClose: () => void }) {
  const { name, setName, address, setAddress, note, setNote, wrong, save, remove, action } = useEditing(
    contact,
    onClose,
  );
  const { busy, error, run, submit } = action;
  const known = contact.address !== "";
  return (
    <Dialog title={known ? "Contact" : "New contact"} onClose={onClose}>
      <form onSubmit={submit(save)}>
        {error && <Notice kind="error">{error}</Notice>}
        <TextField
          label="Name"
          autocomplete="off"
          maxLength={100}
          autoFocus
          value={name}
          autocapitalize="words"
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <TextField
          label="Address"
          inputMode="email"
          autocomplete="off"
          maxLength={254}
          required
          value={address}
          error={wrong ? "This is not an address" : undefined}
          onInput={(event) => setAddress(event.currentTarget.value)}
        />
        <TextField
          label="Note"
          autocomplete="off"
          maxLength={300}
          value={note}
          onInput={(event) => setNote(event.currentTarget.value)}
        />
        {contact.key && <Fingerprint of={contact.key} />}
        <footer>
          {known && (
            <Button look="quiet" icon="trash" disabled={busy} onClick={() => void run(remove)}>
              Delete
            </Button>
          )}
          <span class="gap" />
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy} disabled={!address || wrong}>
            Save
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function Fingerprint({ of }: { of: string }) {
  return (
    <p class="hint">
      <Icon name="key" size={15} /> Key of the last sealed message:{" "}
      <span class="mono">{(of.toUpperCase().match(/.{4}/g) ?? []).join(" ")}</span>
    </p>
  );
}

/** As it was, with what was known of it. */
async function bringBack(contact: Contact): Promise<void> {
  await sharedBook.update((all) => ({ contacts: [...(all ?? NO_BOOK).contacts, contact] })).catch(() => undefined);
}
