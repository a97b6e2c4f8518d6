/** The routes of mail out, and of what is kept beside mail. */
import { toBase64, type Bytes } from "../lib/encoding";
import { ask } from "./http";
import type { Recipient, SealedObject } from "./types";
import { frame, upload, type Way } from "./upload";

export type ObjectName = "contacts" | "settings";

export interface Sealed {
  envelope: Bytes;
  body: Bytes;
}

export const outbox = {
  recipients: async (addresses: string[]) =>
    (await ask<{ recipients: Recipient[] }>("/v1/recipients", { method: "POST", body: { addresses } })).recipients,
  /** A copy into a member's inbox; the same id again changes nothing. */
  sealed: (to: string, id: string, { envelope, body }: Sealed, way: Way) =>
    upload("/v1/outbox/sealed", frame({ to, id, envelope: toBase64(envelope) }, body), {}, way),
  /** A copy of our own; in place of `replaces`, which goes. */
  own: (id: string, folder: "sent" | "drafts", sealed: Sealed, replaces: string, way: Way) => {
    const header = { id, folder, envelope: toBase64(sealed.envelope), ...(replaces ? { replaces } : {}) };
    return upload("/v1/outbox/own", frame(header, sealed.body), {}, way);
  },
  /** A whole mail; the same key again is the same submission. */
  send: (from: string, recipients: string[], mail: Bytes, key: string, way: Way) =>
    upload("/v1/send", frame({ from, recipients }, mail), { "Idempotency-Key": key }, way),
};

export const objects = {
  get: (name: ObjectName) => ask<SealedObject>(`/v1/objects/${name}`),
  put: (name: ObjectName, sealed: string, version: number) =>
    ask<{ version: number }>(`/v1/objects/${name}`, { method: "PUT", body: { sealed, version } }),
};
