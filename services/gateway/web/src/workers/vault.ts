/**
 * The vault: the only place that holds the private key. Ending this worker ends the key.
 *
 * Decryption happens here, off the page's thread; what leaves is plaintext asked for, wrapped keys, or, on request with the
 * password given again, the armoured key. Envelopes that do not open or do not parse fail alone.
 */
import type { PrivateKey } from "openpgp";
import { generate, open, readSecretKey, sealToSelf } from "../crypto/pgp";
import { unwrapPrivateKey, wrapPrivateKey } from "../crypto/wrap";
import { copyOf, fromUtf8, utf8, type Bytes } from "../lib/encoding";
import { Handover, serve } from "../lib/rpc";
import { decodeEnvelope, type Envelope } from "../mail/envelope";
import { letterHandlers } from "./letters";

export interface Created {
  certificate: Bytes;
  fingerprint: string;
  wrapped: Bytes;
}

class Locked extends Error {
  readonly reason = "locked";
}

let held: { key: PrivateKey; fingerprint: string } | null = null;

function mine(): { key: PrivateKey; fingerprint: string } {
  if (!held) throw new Locked();
  return held;
}

async function attempt<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch {
    return null;
  }
}

const handlers = {
  ...letterHandlers(() => mine().key),

  /** Makes a new key, keeps it, and returns it wrapped. */
  async create({ address, wrapKey }: { address: string; wrapKey: Bytes }): Promise<Created> {
    const made = await generate(address);
    held = { key: await readSecretKey(made.secretKey), fingerprint: made.fingerprint };
    const wrapped = await wrapPrivateKey(wrapKey, made.secretKey, made.fingerprint);
    return { certificate: made.certificate, fingerprint: made.fingerprint, wrapped };
  },

  /** Opens the wrapped key and keeps it. */
  async unlock(request: { wrapKey: Bytes; wrapped: Bytes; fingerprint: string }): Promise<null> {
    const secret = await unwrapPrivateKey(request.wrapKey, request.wrapped, request.fingerprint);
    // The bytes are not wiped here: the key that is read refers to them, and both end with the worker.
    const key = await readSecretKey(secret);
    if (key.getFingerprint() !== request.fingerprint.toLowerCase()) throw new Locked();
    held = { key, fingerprint: key.getFingerprint() };
    return null;
  },

  /** Wraps the held key under another key: a new password or a recovery code. */
  async rewrap({ wrapKey }: { wrapKey: Bytes }): Promise<Bytes> {
    const { key, fingerprint } = mine();
    return wrapPrivateKey(wrapKey, copyOf(key.write()), fingerprint);
  },

  /** The armoured private key; the caller proves the password by unwrapping once more. */
  async exportKey(request: { wrapKey: Bytes; wrapped: Bytes }): Promise<string> {
    const { key, fingerprint } = mine();
    (await unwrapPrivateKey(request.wrapKey, request.wrapped, fingerprint)).fill(0);
    return key.armor();
  },

  async openEnvelopes({ sealed }: { sealed: Bytes[] }): Promise<(Envelope | null)[]> {
    const { key } = mine();
    return Promise.all(sealed.map((one) => attempt(async () => decodeEnvelope(await open(key, one)))));
  },

  async openBody({ sealed }: { sealed: Bytes }): Promise<Bytes> {
    const plain = copyOf(await open(mine().key, sealed));
    return new Handover(plain, [plain.buffer]) as unknown as Bytes;
  },

  async openNames({ sealed }: { sealed: Bytes[] }): Promise<(string | null)[]> {
    const { key } = mine();
    return Promise.all(sealed.map((one) => attempt(async () => fromUtf8(await open(key, one)).slice(0, 200))));
  },

  async sealName({ name }: { name: string }): Promise<Bytes> {
    return sealToSelf(mine().key, utf8(name));
  },
};
export type VaultHandlers = typeof handlers;

serve(handlers);
