/** What this installation offers; asked for once. */
import { signal } from "@preact/signals";
import { info as ask } from "../api/calls";
import type { Info } from "../api/types";

export const info = signal<Info | null>(null);
export const infoError = signal<unknown>(null);

export async function loadInfo(): Promise<void> {
  infoError.value = null;
  try {
    info.value = await ask();
  } catch (error) {
    infoError.value = error;
  }
}
