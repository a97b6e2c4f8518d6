/** Who is signed in at this page, and with which roles. The private key stays closed: nothing here needs it. */
import { computed, signal } from "@preact/signals";
import { account as api } from "../api/calls";
import { ApiError } from "../api/http";
import type { Account } from "../api/types";
import { prove } from "../state/prove";

export type StaffState =
  | { kind: "unknown" }
  | { kind: "unreachable"; error: unknown }
  | { kind: "none" }
  | { kind: "in"; account: Account };

export const staff = signal<StaffState>({ kind: "unknown" });
export const roles = computed<string[]>(() => (staff.value.kind === "in" ? staff.value.account.roles : []));

/** Pages of this browser tell each other when one of them signs out. */
const channel = new BroadcastChannel("sealpost");
channel.onmessage = (event) => {
  if (event.data === "signed-out") staff.value = { kind: "none" };
};

/** Asks who is signed in: at the start, and whenever a path is gone that was there. */
export async function resume(): Promise<void> {
  try {
    staff.value = { kind: "in", account: await api.current() };
  } catch (error) {
    const refused = error instanceof ApiError && error.status === 401;
    staff.value = refused ? { kind: "none" } : { kind: "unreachable", error };
  }
}

export async function signIn(address: string, password: string): Promise<void> {
  const { account } = await prove(address, password);
  staff.value = { kind: "in", account };
}

export async function signOut(): Promise<void> {
  await api.signOut();
  channel.postMessage("signed-out");
  staff.value = { kind: "none" };
}
