/**
 * The wrapped private key (docs/architecture.md): `0x01 || nonce (12) || AES-256-GCM(wrap key, nonce, key, aad)`, with
 * `aad = "sealpost/v1/private-key/" + fingerprint`, so that a key swapped for another account's does not open.
 */
import { utf8, type Bytes } from "../lib/encoding";

const VERSION = 1;
const NONCE = 12;
const TAG = 16;

export class WrapFailure extends Error {
  readonly reason = "unwrap_failed";
}

export async function wrapPrivateKey(wrapKey: Bytes, secretKey: Bytes, fingerprint: string): Promise<Bytes> {
  return wrapWithNonce(wrapKey, secretKey, fingerprint, crypto.getRandomValues(new Uint8Array(NONCE)));
}

/** For the test vectors alone: a nonce must never be used twice under one key. */
export async function wrapWithNonce(wrapKey: Bytes, secretKey: Bytes, print: string, nonce: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", wrapKey, "AES-GCM", false, ["encrypt"]);
  const sealed = await crypto.subtle.encrypt(parameters(nonce, print), key, secretKey);
  const wrapped = new Uint8Array(1 + NONCE + sealed.byteLength);
  wrapped[0] = VERSION;
  wrapped.set(nonce, 1);
  wrapped.set(new Uint8Array(sealed), 1 + NONCE);
  return wrapped;
}

/** @throws WrapFailure for another key, another fingerprint, another version, or a changed byte */
export async function unwrapPrivateKey(wrapKey: Bytes, wrapped: Bytes, fingerprint: string): Promise<Bytes> {
  if (wrapped[0] !== VERSION || wrapped.length < 1 + NONCE + TAG) throw new WrapFailure();
  const key = await crypto.subtle.importKey("raw", wrapKey, "AES-GCM", false, ["decrypt"]);
  try {
    const nonce = wrapped.slice(1, 1 + NONCE);
    return new Uint8Array(await crypto.subtle.decrypt(parameters(nonce, fingerprint), key, wrapped.slice(1 + NONCE)));
  } catch {
    throw new WrapFailure();
  }
}

function parameters(nonce: Bytes, fingerprint: string): AesGcmParams {
  const additionalData = utf8("sealpost/v1/private-key/" + fingerprint.toLowerCase());
  return { name: "AES-GCM", iv: nonce, additionalData, tagLength: 128 };
}
