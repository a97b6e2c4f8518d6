/**
 * OpenPGP as this page uses it: v4 Curve25519 keys that GnuPG 2.2 reads, and messages to ourselves.
 *
 * Every limit of openpgp.js that is off by default is on, and nothing without integrity protection is ever opened: a changed
 * ciphertext gives an error and no plaintext (EFAIL).
 */
import {
  config as defaults,
  createMessage,
  decrypt,
  encrypt,
  enums,
  generateKey,
  readMessage,
  readPrivateKey,
  type PartialConfig,
  type PrivateKey,
} from "openpgp";
import { copyOf, type Bytes } from "../lib/encoding";

/** A mail may be 50 MB and decrypts to its own size; anything that grows beyond this is a bomb. */
const MOST_DECOMPRESSED = 80 * 1024 * 1024;

export const CONFIG: PartialConfig = {
  aeadProtect: false,
  v6Keys: false,
  enableParsingV5Entities: false,
  parseAEADEncryptedV4KeysAsLegacy: false,
  allowUnauthenticatedMessages: false,
  allowUnauthenticatedStream: false,
  allowInsecureDecryptionWithSigningKeys: false,
  maxDecompressedMessageSize: MOST_DECOMPRESSED,
  maxArgon2MemoryExponent: 16,
  ignoreMalformedPackets: false,
  preferredCompressionAlgorithm: enums.compression.uncompressed,
};
// Some readers inside the library look at the global settings, not at the call's.
Object.assign(defaults, CONFIG);

export interface NewKey {
  /** binary transferable public key */
  certificate: Bytes;
  /** binary transferable secret key, not protected by itself */
  secretKey: Bytes;
  fingerprint: string;
}

export async function generate(address: string): Promise<NewKey> {
  const { privateKey } = await generateKey({
    type: "ecc",
    curve: "ed25519Legacy",
    userIDs: [{ email: address }],
    format: "object",
    config: CONFIG,
  });
  return {
    certificate: copyOf(privateKey.toPublic().write()),
    secretKey: copyOf(privateKey.write()),
    fingerprint: privateKey.getFingerprint(),
  };
}

export async function readSecretKey(binary: Bytes): Promise<PrivateKey> {
  return readPrivateKey({ binaryKey: binary, config: CONFIG });
}

/** Opens one sealed message. @throws Error for anything but an intact message to this key */
export async function open(key: PrivateKey, sealed: Bytes): Promise<Bytes> {
  const message = await readMessage({ binaryMessage: sealed, config: CONFIG });
  const { data } = await decrypt({ message, decryptionKeys: key, format: "binary", config: CONFIG });
  return data as Bytes;
}

/** Seals bytes to the key's own certificate (names of folders). */
export async function sealToSelf(key: PrivateKey, plaintext: Bytes): Promise<Bytes> {
  const message = await createMessage({ binary: plaintext });
  const sealed = await encrypt({ message, encryptionKeys: key.toPublic(), format: "binary", config: CONFIG });
  return sealed as Bytes;
}
