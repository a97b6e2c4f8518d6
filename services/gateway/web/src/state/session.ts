/**
 * Who is signed in, and whether the key is open. Nothing is written to the browser: the session is a cookie that scripts
 * cannot read, the key lives in the vault worker, and both are gone when they are ended here.
 *
 * A reload leaves the cookie: the account is then known but locked, and asks for the password alone.
 */
import { computed, signal } from "@preact/signals";
import { account as api } from "../api/calls";
import { ApiError, whenUnauthorised } from "../api/http";
import type { Account } from "../api/types";
import { deriveKeys } from "../crypto/derive";
import { newKdf, type DerivedKeys } from "../crypto/kdf";
import { recoveryKeys } from "../crypto/recovery";
import { PATIENT, QUICK, vault } from "../crypto/vault";
import { fromBase64, toBase64, type Bytes } from "../lib/encoding";
import { prove } from "./prove";

export type SessionState =
  | { kind: "unknown" }
  | { kind: "unreachable"; error: unknown }
  | { kind: "none" }
  | { kind: "locked"; account: Account }
  | { kind: "open"; account: Account };

export const session = signal<SessionState>({ kind: "unknown" });
export const account = computed(() => ("account" in session.value ? session.value.account : null));

const enders = new Set<() => void>();
/** Another page of this browser signed out: its cookie is gone, so this page forgets too. */
const channel = new BroadcastChannel("sealpost");

/** Registers what must be forgotten when the session ends. */
export function onEnd(forget: () => void): void {
  enders.add(forget);
}

const keepers = new Set<() => Promise<void>>();
const KEEPING_MS = 5_000;

/** Registers what is to be kept, with the key that is still open, before the user locks or signs out. */
export function beforeEnd(keep: () => Promise<void>): void {
  keepers.add(keep);
}

async function keepAll(): Promise<void> {
  const late = new Promise((resolve) => setTimeout(resolve, KEEPING_MS));
  await Promise.race([Promise.allSettled([...keepers].map((keep) => keep())), late]);
}

export async function resume(): Promise<void> {
  try {
    session.value = { kind: "locked", account: await api.current() };
  } catch (error) {
    const refused = error instanceof ApiError && error.status === 401;
    session.value = refused ? { kind: "none" } : { kind: "unreachable", error };
  }
}

export async function signIn(address: string, password: string): Promise<void> {
  const { account, keys } = await prove(address, password);
  await unlockWith(account, keys.wrapKey);
}

/** Opens the key of the account that the cookie stands for, as it is now: another page may have changed the password. */
export async function unlock(password: string): Promise<void> {
  const current = await api.current();
  const keys = await deriveKeys(password, current.kdf);
  await unlockWith(current, keys.wrapKey);
}

/** Makes keys, opens the account, and keeps the key. `step` tells what is being done. */
export async function signUp(address: string, password: string, step: (text: string) => void): Promise<void> {
  step("Stretching your password");
  const kdf = newKdf();
  const keys = await deriveKeys(password, kdf);
  step("Making your keys");
  const made = await vault.call("create", { address, wrapKey: keys.wrapKey }, { timeout: PATIENT });
  step("Opening your mailbox");
  try {
    const created = await api.signUp({
      address,
      kdf,
      authentication_key: toBase64(keys.authenticationKey),
      certificate: toBase64(made.certificate),
      wrapped_private_key: toBase64(made.wrapped),
    });
    session.value = { kind: "open", account: created };
  } catch (error) {
    vault.close();
    throw error;
  }
}

/** Opens the account with a recovery code and gives it a new password. */
export async function recover(address: string, code: string, password: string): Promise<void> {
  const old = await recoveryKeys(code);
  const found = await api.startRecovery(address, toBase64(old.authenticationKey));
  const wrapped = fromBase64(found.wrapped_private_key);
  await vault.call("unlock", { wrapKey: old.wrapKey, wrapped, fingerprint: found.fingerprint }, { timeout: QUICK });
  const next = await newPassword(password);
  const account = await api.completeRecovery(address, toBase64(old.authenticationKey), next);
  session.value = { kind: "open", account };
}

export async function changePassword(current: string, next: string): Promise<void> {
  const account = openAccount();
  const old = await deriveKeys(current, account.kdf);
  await provePassword(account, old);
  const changed = await newPassword(next);
  await api.changePassword(toBase64(old.authenticationKey), changed);
  const { kdf, wrapped_private_key } = changed;
  session.value = { kind: "open", account: { ...account, kdf, wrapped_private_key } };
}

/** Puts a recovery code in force, or with null takes it away. */
export async function setRecovery(password: string, code: string | null): Promise<void> {
  const account = openAccount();
  const keys = await deriveKeys(password, account.kdf);
  await provePassword(account, keys);
  const authentication = toBase64(keys.authenticationKey);
  if (code === null) {
    await api.setRecovery(authentication, null);
  } else {
    const recovery = await recoveryKeys(code);
    const wrapped = await vault.call("rewrap", { wrapKey: recovery.wrapKey }, { timeout: QUICK });
    const authentication_key = toBase64(recovery.authenticationKey);
    await api.setRecovery(authentication, { authentication_key, wrapped_private_key: toBase64(wrapped) });
  }
  session.value = { kind: "open", account: { ...account, has_recovery: code !== null } };
}

/** Whether this is the password, found out here alone. @throws WorkerFailure "unwrap_failed" when it is not */
export async function checkPassword(password: string): Promise<void> {
  const account = openAccount();
  await provePassword(account, await deriveKeys(password, account.kdf));
}

/** The armoured private key, for the password given once more. */
export async function exportKey(password: string): Promise<string> {
  const account = openAccount();
  const keys = await deriveKeys(password, account.kdf);
  const wrapped = fromBase64(account.wrapped_private_key);
  return vault.call("exportKey", { wrapKey: keys.wrapKey, wrapped }, { timeout: QUICK });
}

/** Ends the session here and at the server. The key is gone even if the server cannot be reached. */
export async function signOut(everywhere = false): Promise<void> {
  await keepAll();
  try {
    await (everywhere ? api.signOutEverywhere() : api.signOut());
  } finally {
    channel.postMessage("signed-out");
    forget();
  }
}

/** Wipes the key and keeps the session: the password is asked for again. */
export async function lock(): Promise<void> {
  await keepAll();
  const current = account.value;
  forget();
  if (current) session.value = { kind: "locked", account: current };
}

function forget(): void {
  vault.close();
  session.value = { kind: "none" };
  for (const ender of enders) ender();
}

async function unlockWith(account: Account, wrapKey: Bytes): Promise<void> {
  const wrapped = fromBase64(account.wrapped_private_key);
  await vault.call("unlock", { wrapKey, wrapped, fingerprint: account.fingerprint }, { timeout: QUICK });
  session.value = { kind: "open", account };
}

async function newPassword(password: string) {
  const kdf = newKdf();
  const keys = await deriveKeys(password, kdf);
  const wrapped = await vault.call("rewrap", { wrapKey: keys.wrapKey }, { timeout: QUICK });
  return { kdf, authentication_key: toBase64(keys.authenticationKey), wrapped_private_key: toBase64(wrapped) };
}

/** A wrong password is told here, before anything is sent. */
async function provePassword(account: Account, keys: DerivedKeys): Promise<void> {
  const wrapped = fromBase64(account.wrapped_private_key);
  const { fingerprint } = account;
  await vault.call("unlock", { wrapKey: keys.wrapKey, wrapped, fingerprint }, { timeout: QUICK });
}

function openAccount(): Account {
  if (session.value.kind !== "open") throw new Error("no open session");
  return session.value.account;
}

let checking = false;
whenUnauthorised(() => {
  if (checking || (session.value.kind !== "open" && session.value.kind !== "locked")) return;
  checking = true;
  void api
    .current()
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 401) forget();
    })
    .finally(() => (checking = false));
});
channel.onmessage = (event) => {
  if (event.data === "signed-out") forget();
};
