/**
 * A field of recipients: what is typed becomes chips, each with how mail to it travels; suggestions from the address book.
 *
 * Comma, semicolon, Enter and Tab end an address, leaving the field too; Backspace at the start steps into the chips, where
 * arrows move, Delete removes and Enter takes the text back for mending.
 */
import type { Signal } from "@preact/signals";
import { useId, useRef, useState } from "preact/hooks";
import { addPeople, addressKey, isAddress, parseAddresses, showPerson } from "../mail/address";
import { NO_BOOK, suggest, type Contact } from "../mail/contacts";
import type { Person } from "../mail/envelope";
import { book } from "../state/keeping";
import { announce } from "../state/toast";
import { Icon } from "./icon";
import { STANDINGS, standingOf } from "./route";

const MOST_SUGGESTED = 6;

interface Props {
  label: string;
  people: Signal<Person[]>;
  /** who has got this mail already */
  delivered: ReadonlySet<string>;
  /** other recipients of the mail, who need no suggesting */
  others: ReadonlySet<string>;
  autoFocus?: boolean;
}

/** What the field holds besides its chips, and everything that can be done to either. */
function useField({ people, others }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(-1);
  const suggested = suggest(book.value ?? NO_BOOK, typed, others, MOST_SUGGESTED);
  const type = (text: string) => {
    setTyped(text);
    setAt(-1);
  };
  const add = (added: Person[]) => {
    people.value = addPeople(people.value, added);
    type("");
  };
  const commit = (): boolean => {
    const chosen = suggested[at];
    const found = chosen ? [personOf(chosen)] : parseAddresses(typed);
    if (found.length > 0) add(found);
    return found.length > 0;
  };
  const remove = (index: number) => {
    const gone = people.value[index];
    people.value = people.value.filter((_, i) => i !== index);
    if (gone) announce(`${gone.address} removed`);
    focusChip(list.current, Math.min(index, people.value.length - 1), input.current);
  };
  const mend = (index: number) => {
    const one = people.value[index];
    if (!one) return;
    commit();
    people.value = people.value.filter((other) => other !== one);
    type(showPerson(one));
    input.current?.focus();
  };
  /** Through the suggestions and back to what was typed. */
  const step = (by: number) => setAt(at + by >= suggested.length ? -1 : at + by < -1 ? suggested.length - 1 : at + by);
  return { input, list, typed, at, suggested, type, add, commit, remove, mend, step };
}

type Field = ReturnType<typeof useField>;

function keyDown(event: KeyboardEvent & { currentTarget: HTMLInputElement }, field: Field, chips: number): void {
  const { key } = event;
  const { typed, suggested, at } = field;
  if (event.isComposing || event.ctrlKey || event.metaKey) return;
  let taken = true;
  if ((key === "ArrowDown" || key === "ArrowUp") && suggested.length > 0) field.step(key === "ArrowDown" ? 1 : -1);
  else if (key === "Enter" || ((key === "," || key === ";") && !typed.includes('"'))) field.commit();
  else if (key === " " && isAddress(typed.trim())) field.commit();
  else if (key === "Tab" && !event.shiftKey && (at >= 0 || typed.trim() !== "")) taken = field.commit();
  else if (key === "Escape" && typed !== "") field.type("");
  else if ((key === "Backspace" || key === "ArrowLeft") && event.currentTarget.selectionEnd === 0 && chips > 0)
    focusChip(field.list.current, chips - 1, null);
  else taken = false;
  if (taken) event.preventDefault();
  if (taken && key === "Escape") event.stopPropagation();
}

export function AddressField(props: Props) {
  const { label, people, delivered } = props;
  const id = useId();
  const field = useField(props);
  return (
    <div class="recipients">
      <label for={id}>{label}</label>
      <div
        class="recipient-box"
        onClick={(event) => event.target === event.currentTarget && field.input.current?.focus()}
      >
        <ul class="chips" ref={field.list} aria-label={`${label}: recipients`}>
          {people.value.map((one, index) => (
            <Chip key={addressKey(one.address)} person={one} index={index} delivered={delivered} field={field} />
          ))}
        </ul>
        <div class="recipient-input">
          <TypedAddress id={id} field={field} chips={people.value.length} autoFocus={props.autoFocus ?? false} />
          <Suggestions id={id} field={field} />
        </div>
      </div>
    </div>
  );
}

interface TypedProps {
  id: string;
  field: Field;
  chips: number;
  autoFocus: boolean;
}

function TypedAddress({ id, field, chips, autoFocus }: TypedProps) {
  const paste = (event: ClipboardEvent) => {
    const found = parseAddresses(event.clipboardData?.getData("text/plain") ?? "");
    // One word may be the rest of an address that is being typed; a list, or a whole address, is not.
    if (field.typed !== "" || (found.length < 2 && !isAddress(found[0]?.address ?? ""))) return;
    event.preventDefault();
    field.add(found);
  };
  return (
    <input
      ref={field.input}
      id={id}
      type="text"
      inputMode="email"
      autocomplete="off"
      autocapitalize="none"
      spellcheck={false}
      autoFocus={autoFocus}
      role="combobox"
      aria-autocomplete="list"
      aria-expanded={field.suggested.length > 0}
      aria-controls={`${id}-list`}
      aria-activedescendant={field.at >= 0 ? `${id}-${field.at}` : undefined}
      value={field.typed}
      onInput={(event) => field.type(event.currentTarget.value)}
      onKeyDown={(event) => keyDown(event, field, chips)}
      onPaste={paste}
      onBlur={() => field.add(parseAddresses(field.typed))}
    />
  );
}

function Suggestions({ id, field }: { id: string; field: Field }) {
  return (
    <ul
      id={`${id}-list`}
      class="suggestions"
      role="listbox"
      aria-label="Suggestions"
      hidden={field.suggested.length === 0}
    >
      {field.suggested.map((one, i) => (
        <li
          key={one.address}
          id={`${id}-${i}`}
          role="option"
          aria-selected={i === field.at}
          onPointerDown={(event) => {
            // Before the field loses the focus and takes what was typed for an address.
            event.preventDefault();
            field.add([personOf(one)]);
          }}
        >
          <span>{one.name || one.address}</span>
          {one.name && <small class="address">{one.address}</small>}
        </li>
      ))}
    </ul>
  );
}

interface ChipProps {
  person: Person;
  index: number;
  delivered: ReadonlySet<string>;
  field: Field;
}

function Chip({ person, index, delivered, field }: ChipProps) {
  const { icon, word, sentence, tone } = STANDINGS[standingOf(person, delivered)];
  const onKeyDown = (event: KeyboardEvent) => {
    const chips = chipsIn(field.list.current);
    if (event.key === "Delete" || event.key === "Backspace") field.remove(index);
    else if (event.key === "ArrowLeft") chips[Math.max(0, index - 1)]?.focus();
    else if (event.key === "ArrowRight") (chips[index + 1] ?? field.input.current)?.focus();
    else if (event.key === "Home") chips[0]?.focus();
    else if (event.key === "End") field.input.current?.focus();
    else return;
    event.preventDefault();
  };
  return (
    <li class={`chip ${tone}`}>
      <button
        type="button"
        class="chip-main"
        title={`${showPerson(person)}. ${sentence}`}
        onKeyDown={onKeyDown}
        onClick={() => field.mend(index)}
      >
        <Icon name={icon} size={15} />
        <span class="chip-name">{person.name || person.address}</span>
        <span class="chip-word">{word}</span>
        <span class="visually-hidden">
          . {person.name && person.address} {sentence} Delete removes, Enter changes.
        </span>
      </button>
      <button
        type="button"
        class="chip-remove"
        tabIndex={-1}
        aria-label={`Remove ${person.address}`}
        title="Remove"
        onClick={() => field.remove(index)}
      >
        <Icon name="close" size={14} />
      </button>
    </li>
  );
}

function personOf({ name, address }: Contact): Person {
  return { name, address };
}

function chipsIn(list: HTMLElement | null): HTMLElement[] {
  return Array.from(list?.querySelectorAll<HTMLElement>(".chip-main") ?? []);
}

/** Focus goes to the chip, or to `otherwise` where there is none; after it has been drawn. */
function focusChip(list: HTMLElement | null, index: number, otherwise: HTMLElement | null): void {
  requestAnimationFrame(() => (chipsIn(list)[index] ?? otherwise)?.focus());
}
