/** The shapes of the HTTP API (docs/architecture.md, "HTTP API"); bytes are base64, times RFC 3339 UTC. */
import type { Kdf } from "../crypto/kdf";

export interface Info {
  name: string;
  version: string;
  public_domains: string[];
  member_domains: string[];
  /** of accounts that send by program */
  relay_domains: string[];
  sign_up_open: boolean;
  /** where mail programs hand in mail, where that is told */
  submission: { host: string; starttls_port: number; tls_port: number } | null;
  max_message_bytes: number;
  public: { keep_newest: number; retention_seconds: number };
  /** whether there are plans, invoices and payments */
  billing?: boolean;
}

export interface Account {
  id: string;
  address: string;
  profile: string;
  fingerprint: string;
  wrapped_private_key: string;
  kdf: Kdf;
  has_recovery: boolean;
  roles: string[];
  quota_bytes: number;
  quota_messages: number;
  /** from when on the account is erased */
  erase_due: string | null;
  /** a version of the policy that waits for an answer */
  notice: number | null;
  /** a bill is late: sending is paused, or works until then */
  owing?: { read_only: boolean; until: string | null } | null;
}

export interface Folder {
  id: string;
  sealed_name: string;
  messages: number;
  unseen: number;
}

export interface Mailbox {
  used_bytes: number;
  used_messages: number;
  quota_bytes: number;
  quota_messages: number;
  folders: Folder[];
}

export type Flag = "seen" | "flagged" | "answered";

interface Stored {
  id: string;
  received: string;
  size: number;
  body_size: number;
  folder: string;
  flags: string[];
  expires: string | null;
  scheme: string;
}

export interface Message extends Stored {
  key_id: string;
  envelope: string;
}

export interface PublicMessage extends Stored {
  envelope: unknown;
}

export interface Page<M> {
  messages: M[];
  next_cursor: string | null;
}

export interface PublicPage extends Page<PublicMessage> {
  notice: string;
  address: string;
}

export interface Session {
  id: string;
  created: string;
  last_used: string;
  current: boolean;
}

export interface Credential {
  id: string;
  kind: "api_key" | "app_password";
  label: string;
  scopes: string[];
  prefix: string;
  created: string;
}

export interface Readers {
  stored: { field: string; form: "sealed" | "plain"; why: string }[];
  key_holders: { who: string; how: string }[];
  services: { name: string; saw: "plaintext" | "ciphertext" | "routing"; when: string }[];
  expires: string | null;
  deletion: string;
}

export interface RecoveryKeys {
  authentication_key: string;
  wrapped_private_key: string;
}

export interface Recipient {
  address: string;
  kind: "member" | "wkd" | "public" | "open" | "unknown";
  certificate: string | null;
  fingerprint: string | null;
}

/** What the owner's client sealed; 0 and empty where there is none yet. */
export interface SealedObject {
  sealed: string;
  version: number;
}
