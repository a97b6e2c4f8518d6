/**
 * The recovery code: 160 random bits as 32 characters of Crockford's base 32, in groups of four.
 *
 * Crockford's alphabet has no I, L, O, U; what people misread is read back as meant (O as 0, I and L as 1), and case,
 * spaces and hyphens do not count.
 */
import type { Bytes } from "../lib/encoding";
import { hkdf, INFO, type DerivedKeys } from "./kdf";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS = 32;

export class BadRecoveryCode extends Error {
  readonly reason = "recovery_code_malformed";
}

export function newRecoveryCode(): string {
  return formatRecoveryCode(crypto.getRandomValues(new Uint8Array(20)));
}

export function formatRecoveryCode(bytes: Bytes): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let code = "";
  for (let i = 0; i < CHARACTERS; i++) {
    code = ALPHABET[Number(bits & 31n)] + code;
    bits >>= 5n;
  }
  return (code.match(/.{4}/g) ?? []).join("-");
}

/** @throws BadRecoveryCode */
export function parseRecoveryCode(code: string): Bytes {
  const plain = code.toUpperCase().replace(/[\s-]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  if (plain.length !== CHARACTERS) throw new BadRecoveryCode();
  let bits = 0n;
  for (const character of plain) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) throw new BadRecoveryCode();
    bits = (bits << 5n) | BigInt(value);
  }
  return Uint8Array.from({ length: 20 }, (_, i) => Number((bits >> BigInt(8 * (19 - i))) & 255n));
}

/** The code is random enough to need no stretching: HKDF alone. @throws BadRecoveryCode */
export async function recoveryKeys(code: string): Promise<DerivedKeys> {
  const ikm = parseRecoveryCode(code);
  const [authenticationKey, wrapKey] = await Promise.all([
    hkdf(ikm, INFO.recoveryAuthentication),
    hkdf(ikm, INFO.recoveryWrapping),
  ]);
  ikm.fill(0);
  return { authenticationKey, wrapKey };
}
