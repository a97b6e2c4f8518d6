/** What the owner may ask for: kept once for the banner and for the settings, forgotten with the session. */
import { signal } from "@preact/signals";
import { rights as api, type Erasure, type Rights } from "../api/rights";
import { deriveKeys } from "../crypto/derive";
import { toBase64 } from "../lib/encoding";
import { account, onEnd } from "./session";

export const rights = signal<Rights | null>(null);
/** Of an erasure asked for in this page: the token is told once. */
export const receipt = signal("");

onEnd(() => {
  rights.value = null;
  receipt.value = "";
});

export async function loadRights(): Promise<Rights> {
  return (rights.value = await api.get());
}

export async function change(next: Promise<Rights>): Promise<void> {
  rights.value = await next;
}

/** Asks for the erasure. @throws ApiError with status 401 for a wrong password */
export async function erase(password: string): Promise<Erasure> {
  const current = account.value;
  if (!current) throw new Error("no session");
  const keys = await deriveKeys(password, current.kdf);
  const asked = await api.erase(toBase64(keys.authenticationKey));
  if (asked.receipt_token) receipt.value = asked.receipt_token;
  await loadRights();
  return asked;
}

export async function keepAccount(): Promise<void> {
  await api.keep();
  receipt.value = "";
  await loadRights();
}
