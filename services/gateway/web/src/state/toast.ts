/** Short notices at the edge of the page, read out politely, gone after a while; some can be undone. */
import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  kind: "plain" | "error";
  action: { label: string; run: () => void } | null;
}

export const toasts = signal<Toast[]>([]);
/** What a screen reader should say though nothing on the screen says so. */
export const announced = signal("");

const SHOWN_MS = 6_000;
let next = 1;

export function toast(text: string, options: { kind?: Toast["kind"]; action?: Toast["action"] } = {}): void {
  const id = next++;
  const made: Toast = { id, text, kind: options.kind ?? "plain", action: options.action ?? null };
  toasts.value = [...toasts.value.slice(-2), made];
  setTimeout(() => dismiss(id), made.kind === "error" ? 2 * SHOWN_MS : SHOWN_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export function announce(text: string): void {
  announced.value = announced.value === text ? text + "\u00a0" : text;
}
