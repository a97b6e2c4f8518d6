/** The keyboard of the mailbox: one table, read by the handler and by the help. */
import { useEffect, useRef } from "preact/hooks";

export interface KeyActions {
  next(): void;
  previous(): void;
  open(): void;
  back(): void;
  archive(): void;
  remove(): void;
  unread(): void;
  read(): void;
  star(): void;
  select(): void;
  search(): void;
  help(): void;
  compose(): void;
  reply(): void;
  replyAll(): void;
  forward(): void;
  goInbox(): void;
  goDrafts(): void;
  goSent(): void;
  goArchive(): void;
}

export const KEYS: { keys: string[]; does: keyof KeyActions; text: string }[] = [
  { keys: ["j", "ArrowDown"], does: "next", text: "Next message" },
  { keys: ["k", "ArrowUp"], does: "previous", text: "Message before" },
  { keys: ["Enter", "o"], does: "open", text: "Open" },
  { keys: ["u", "Escape"], does: "back", text: "Back to the list" },
  { keys: ["c"], does: "compose", text: "Write" },
  { keys: ["r"], does: "reply", text: "Reply" },
  { keys: ["a"], does: "replyAll", text: "Reply to all" },
  { keys: ["f"], does: "forward", text: "Forward" },
  { keys: ["e"], does: "archive", text: "Archive" },
  { keys: ["#", "Delete"], does: "remove", text: "To the trash; in the trash: delete for good" },
  { keys: ["I"], does: "read", text: "Mark as read" },
  { keys: ["U"], does: "unread", text: "Mark as unread" },
  { keys: ["s"], does: "star", text: "Star" },
  { keys: ["x"], does: "select", text: "Select" },
  { keys: ["/"], does: "search", text: "Search what is loaded" },
  { keys: ["g i"], does: "goInbox", text: "Go to the inbox" },
  { keys: ["g d"], does: "goDrafts", text: "Go to the drafts" },
  { keys: ["g s"], does: "goSent", text: "Go to what was sent" },
  { keys: ["g a"], does: "goArchive", text: "Go to the archive" },
  { keys: ["?"], does: "help", text: "This help" },
];

const SEQUENCE_MS = 1_000;

/** Which action a key stands for, after the key before it. */
export function actionFor(key: string, before: string): keyof KeyActions | null {
  const sequence = KEYS.find(({ keys }) => before !== "" && keys.includes(`${before} ${key}`));
  return (sequence ?? KEYS.find(({ keys }) => keys.includes(key)))?.does ?? null;
}

export function useKeys(actions: KeyActions): void {
  // Outlives the effect, which is made anew with each rendering: one may come between the two keys of a sequence.
  const last = useRef({ key: "", at: 0 });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || takesText(event.target)) return;
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "Enter" && event.target instanceof HTMLElement && event.target.matches("a, button, summary"))
        return;
      const recent = event.timeStamp - last.current.at < SEQUENCE_MS ? last.current.key : "";
      const action = actionFor(event.key, recent);
      last.current = { key: event.key, at: event.timeStamp };
      if (!action) return;
      event.preventDefault();
      actions[action]();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}

function takesText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target.isContentEditable || target.matches("textarea, select, pre, [role=menuitem]");
}
