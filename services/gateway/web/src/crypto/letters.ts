/**
 * Letters between people: signed by their writer, sealed to one reader, a copy for each; and opened again, with an answer to
 * the question who signed them.
 *
 * One message never names two readers: the key ids in front of it can be read by whoever stores it. The signature is inside,
 * so nobody but the reader learns who wrote. A signature counts only when the key that was expected made it; whatever else
 * there is (none, another's, a broken one) is told apart, and none of it is ever "verified".
 */
import { createMessage, decrypt, encrypt, readKey, readMessage, readSignature, verify } from "openpgp";
import type { Key, PrivateKey } from "openpgp";
import { copyOf, type Bytes } from "../lib/encoding";
import { CONFIG } from "./pgp";

/** `unchecked`: signed, but there is no certificate to check it with. */
export type Signature = "verified" | "none" | "other-key" | "broken" | "unchecked";

export interface OpenedLetter {
  plain: Bytes;
  signature: Signature;
}

export class BadCertificate extends Error {
  readonly reason = "certificate_unusable";
}

/** Reads a certificate; `fingerprint`, where given, must be its own. @throws BadCertificate */
export async function readCertificate(binary: Bytes, fingerprint: string): Promise<Key> {
  try {
    const key = await readKey({ binaryKey: binary, config: CONFIG });
    if (fingerprint && key.getFingerprint() !== fingerprint.toLowerCase()) throw new BadCertificate();
    return key.isPrivate() ? key.toPublic() : key;
  } catch {
    throw new BadCertificate();
  }
}

/**
 * Whether a certificate that anybody might have published names this address among its user ids. A member's is bound to the
 * mailbox by the directory, one from elsewhere by nothing but this.
 */
export function namesAddress(key: Key, address: string): boolean {
  return key.users.some((user) => user.userID?.email.toLowerCase() === address.toLowerCase());
}

/** Signs with `key` and seals to `reader` alone. */
export async function sealSigned(key: PrivateKey, reader: Key, plain: Bytes): Promise<Bytes> {
  const message = await createMessage({ binary: plain });
  const options = { message, encryptionKeys: reader, signingKeys: key, config: CONFIG };
  return (await encrypt({ ...options, format: "binary" })) as Bytes;
}

export async function sealArmored(key: PrivateKey, reader: Key, plain: Bytes): Promise<string> {
  const message = await createMessage({ binary: plain });
  return encrypt({ message, encryptionKeys: reader, signingKeys: key, format: "armored", config: CONFIG });
}

/**
 * Opens what was sealed to `key` and checks its signature with `writer`, the certificate of who is said to have written it.
 * @throws Error for anything but an intact message to this key
 */
export async function openSigned(key: PrivateKey, sealed: Bytes | string, writer: Key | null): Promise<OpenedLetter> {
  const message =
    typeof sealed === "string"
      ? await readMessage({ armoredMessage: sealed, config: CONFIG })
      : await readMessage({ binaryMessage: sealed, config: CONFIG });
  const { data, signatures } = await decrypt({
    message,
    decryptionKeys: key,
    ...(writer ? { verificationKeys: writer } : {}),
    date: latest(),
    format: "binary",
    config: CONFIG,
  });
  return { plain: copyOf(data as Uint8Array), signature: await judge(signatures, writer) };
}

/** Checks a signature that stands beside what it signs (RFC 3156, section 5). */
export async function checkDetached(content: Bytes, armored: string, writer: Key | null): Promise<Signature> {
  const message = await createMessage({ binary: content });
  const signature = await readSignature({ armoredSignature: armored, config: CONFIG });
  const options = { message, signature, verificationKeys: writer ?? [], date: latest() };
  const { signatures } = await verify({ ...options, format: "binary", config: CONFIG });
  return judge(signatures, writer);
}

interface Made {
  keyID: { toHex(): string };
  verified: Promise<true>;
}

async function judge(signatures: Made[], writer: Key | null): Promise<Signature> {
  if (signatures.length === 0) return "none";
  const results = await Promise.all(
    signatures.map((one) =>
      one.verified.then(
        () => true,
        () => false,
      ),
    ),
  );
  if (!writer) return "unchecked";
  if (results.includes(true)) return "verified";
  const ids = new Set(writer.getKeyIDs().map((id) => id.toHex()));
  return signatures.some((one) => ids.has(one.keyID.toHex())) ? "broken" : "other-key";
}

const SKEW_MS = 24 * 3_600_000;

/** Clocks differ: a signature from a little ahead of ours is no forgery. */
function latest(): Date {
  return new Date(Date.now() + SKEW_MS);
}
