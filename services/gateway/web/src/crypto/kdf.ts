/**
 * One password, two keys (docs/architecture.md, "Password derivation"): Argon2id makes a root, HKDF splits it into the
 * authentication key, which is sent, and the wrapping key, which never leaves this page.
 *
 * The parameters come from the server, so they are held between bounds: a server must not be able to ask for a cheaper
 * derivation than ours and so receive a key from which the password is easily guessed, nor for one that stops the machine.
 */
import { fromBase64, toBase64, utf8, type Bytes } from "../lib/encoding";

export interface Kdf {
  algorithm: "argon2id";
  /** base64 of 16 bytes */
  salt: string;
  memory_kib: number;
  iterations: number;
  parallelism: number;
}

export interface DerivedKeys {
  authenticationKey: Bytes;
  wrapKey: Bytes;
}

export class WeakParameters extends Error {
  readonly reason = "kdf_parameters";
}

export const KDF_COST = { memory_kib: 65536, iterations: 3, parallelism: 1 } as const;
const MOST = { memory_kib: 1 << 20, iterations: 16, parallelism: 8 } as const;

export const INFO = {
  authentication: "sealpost/v1/authentication",
  wrapping: "sealpost/v1/wrapping",
  recoveryAuthentication: "sealpost/v1/recovery-authentication",
  recoveryWrapping: "sealpost/v1/recovery-wrapping",
} as const;

/** Fresh parameters for a new password: our cost, a random salt. */
export function newKdf(): Kdf {
  return { algorithm: "argon2id", salt: toBase64(crypto.getRandomValues(new Uint8Array(16))), ...KDF_COST };
}

/** @throws WeakParameters when a parameter is below what we use or above what a machine can bear. */
export function checkKdf(kdf: Kdf): Bytes {
  const inBounds = (key: keyof typeof KDF_COST) =>
    Number.isInteger(kdf[key]) && kdf[key] >= KDF_COST[key] && kdf[key] <= MOST[key];
  const salt = fromBase64(kdf.salt);
  if (kdf.algorithm !== "argon2id" || salt.length !== 16 || !inBounds("memory_kib") || !inBounds("iterations")) {
    throw new WeakParameters();
  }
  if (!inBounds("parallelism")) throw new WeakParameters();
  return salt;
}

/** The bytes that are stretched: the same password typed on another keyboard must give the same bytes. */
export function passwordBytes(password: string): Bytes {
  return utf8(password.normalize("NFKC"));
}

/** HKDF-SHA-256 (RFC 5869) with an empty salt, 32 bytes. */
export async function hkdf(ikm: Bytes, info: string): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}

/** Splits the stretched root; the root is wiped. */
export async function splitRoot(root: Bytes): Promise<DerivedKeys> {
  const [authenticationKey, wrapKey] = await Promise.all([hkdf(root, INFO.authentication), hkdf(root, INFO.wrapping)]);
  root.fill(0);
  return { authenticationKey, wrapKey };
}
