/** Every route of the API, once. */
import type { Kdf } from "../crypto/kdf";
import { ask, askBytes } from "./http";
import type {
  Account,
  Credential,
  Flag,
  Folder,
  Info,
  Mailbox,
  Message,
  Page,
  PublicMessage,
  PublicPage,
  Readers,
  RecoveryKeys,
  Session,
} from "./types";

const MOST_BODY = 80 * 1024 * 1024;
const PAGE = 50;
const enc = encodeURIComponent;

interface WithAccount {
  account: Account;
}

interface NewPassword {
  kdf: Kdf;
  authentication_key: string;
  wrapped_private_key: string;
}

export interface SignUp extends NewPassword {
  address: string;
  certificate: string;
  recovery?: RecoveryKeys;
}

export interface Update {
  ids: string[];
  add_flags?: Flag[];
  remove_flags?: Flag[];
  move_to?: string;
}

export const info = () => ask<Info>("/v1/info");

export const account = {
  kdf: async (address: string) => (await ask<{ kdf: Kdf }>("/v1/kdf", { method: "POST", body: { address } })).kdf,
  signUp: async (body: SignUp) => (await ask<WithAccount>("/v1/accounts", { method: "POST", body })).account,
  signIn: async (address: string, authentication_key: string) =>
    (await ask<WithAccount>("/v1/session", { method: "POST", body: { address, authentication_key } })).account,
  current: async () => (await ask<WithAccount>("/v1/session")).account,
  signOut: () => ask<void>("/v1/session", { method: "DELETE" }),
  sessions: async () => (await ask<{ sessions: Session[] }>("/v1/sessions")).sessions,
  signOutEverywhere: () => ask<void>("/v1/sessions", { method: "DELETE" }),
  changePassword: (current_authentication_key: string, next: NewPassword) =>
    ask<void>("/v1/account/password", { method: "PUT", body: { current_authentication_key, ...next } }),
  setRecovery: (current_authentication_key: string, recovery: RecoveryKeys | null) =>
    ask<void>("/v1/account/recovery", { method: "PUT", body: { current_authentication_key, recovery } }),
  startRecovery: (address: string, authentication_key: string) =>
    ask<{ wrapped_private_key: string; fingerprint: string }>("/v1/recovery", {
      method: "POST",
      body: { address, authentication_key },
    }),
  completeRecovery: async (address: string, recovery_authentication_key: string, next: NewPassword) =>
    (
      await ask<WithAccount>("/v1/recovery/complete", {
        method: "POST",
        body: { address, recovery_authentication_key, ...next },
      })
    ).account,
  credentials: async () => (await ask<{ credentials: Credential[] }>("/v1/credentials")).credentials,
  addCredential: (kind: Credential["kind"], label: string, scopes: string[]) =>
    ask<{ credential: Credential; secret: string }>("/v1/credentials", {
      method: "POST",
      body: { kind, label, scopes },
    }),
  dropCredential: (id: string) => ask<void>(`/v1/credentials/${enc(id)}`, { method: "DELETE" }),
};

export const mail = {
  mailbox: () => ask<Mailbox>("/v1/mailbox"),
  addFolder: (sealed_name: string) => ask<Folder>("/v1/folders", { method: "POST", body: { sealed_name } }),
  renameFolder: (id: string, sealed_name: string) =>
    ask<void>(`/v1/folders/${enc(id)}`, { method: "PUT", body: { sealed_name } }),
  dropFolder: (id: string) => ask<void>(`/v1/folders/${enc(id)}`, { method: "DELETE" }),
  list: (folder: string, cursor: string | null, signal: AbortSignal) =>
    ask<Page<Message>>(`/v1/messages?folder=${enc(folder)}&limit=${PAGE}${cursor ? `&cursor=${enc(cursor)}` : ""}`, {
      signal,
    }),
  /** of all folders */
  all: (cursor: string | null, signal: AbortSignal) =>
    ask<Page<Message>>(`/v1/messages?limit=${PAGE}${cursor ? `&cursor=${enc(cursor)}` : ""}`, { signal }),
  get: (id: string) => ask<Message>(`/v1/messages/${enc(id)}`),
  body: (id: string) => askBytes(`/v1/messages/${enc(id)}/body`, MOST_BODY),
  readers: (id: string) => ask<Readers>(`/v1/messages/${enc(id)}/readers`),
  update: (body: Update) => ask<{ not_found: string[] }>("/v1/messages/update", { method: "POST", body }),
  remove: (ids: string[]) => ask<{ not_found: string[] }>("/v1/messages/delete", { method: "POST", body: { ids } }),
};

const inbox = (address: string) => `/v1/public/${enc(address)}`;

export const publicMail = {
  list: (address: string, cursor: string | null, signal: AbortSignal) =>
    ask<PublicPage>(`${inbox(address)}/messages?limit=${PAGE}${cursor ? `&cursor=${enc(cursor)}` : ""}`, { signal }),
  get: (address: string, id: string) => ask<PublicMessage>(`${inbox(address)}/messages/${enc(id)}`),
  raw: (address: string, id: string) => askBytes(`${inbox(address)}/messages/${enc(id)}/raw`, MOST_BODY),
  readers: (address: string, id: string) => ask<Readers>(`${inbox(address)}/messages/${enc(id)}/readers`),
  remove: (address: string, id: string) => ask<void>(`${inbox(address)}/messages/${enc(id)}`, { method: "DELETE" }),
  events: (address: string) => `${inbox(address)}/events`,
};
