import { argon2id } from "hash-wasm";
import * as openpgp from "openpgp";
import { describe, expect, it } from "vitest";
import { checkKdf, newKdf, passwordBytes, splitRoot, WeakParameters, type Kdf } from "../src/crypto/kdf";
import { generate, open, readSecretKey, sealToSelf } from "../src/crypto/pgp";
import {
  BadRecoveryCode,
  formatRecoveryCode,
  newRecoveryCode,
  parseRecoveryCode,
  recoveryKeys,
} from "../src/crypto/recovery";
import { strengthOf } from "../src/crypto/strength";
import { unwrapPrivateKey, WrapFailure, wrapPrivateKey, wrapWithNonce } from "../src/crypto/wrap";
import { fromBase64, toBase64, utf8 } from "../src/lib/encoding";
import vectors from "../../../../tests/support/vectors/password.json";

describe("password derivation", () => {
  it.each(vectors.derivation)("gives the keys of the shared vectors for $password", async (vector) => {
    const password = passwordBytes(vector.password);
    expect(toBase64(password)).toBe(vector.normalised);
    const root = (await argon2id({
      password,
      salt: checkKdf(vector.kdf as Kdf),
      memorySize: vector.kdf.memory_kib,
      iterations: vector.kdf.iterations,
      parallelism: vector.kdf.parallelism,
      hashLength: 32,
      outputType: "binary",
    })) as Uint8Array<ArrayBuffer>;
    expect(toBase64(root)).toBe(vector.root);
    const keys = await splitRoot(root);
    expect(toBase64(keys.authenticationKey)).toBe(vector.authentication_key);
    expect(toBase64(keys.wrapKey)).toBe(vector.wrap_key);
    expect(root.every((byte) => byte === 0)).toBe(true);
  });

  it.each([
    { memory_kib: 1024 },
    { iterations: 1 },
    { memory_kib: 1 << 24 },
    { parallelism: 99 },
    { salt: "AAAA" },
    { algorithm: "pbkdf2" },
    { iterations: 3.5 },
  ])("refuses parameters that a server must not ask for: %o", (change) => {
    expect(() => checkKdf({ ...newKdf(), ...change } as never)).toThrow(WeakParameters);
  });
});

describe("wrapped private key", () => {
  it.each(vectors.wrapping)("is byte for byte that of the shared vectors", async (vector) => {
    const key = fromBase64(vector.wrap_key);
    const secret = fromBase64(vector.private_key);
    const wrapped = await wrapWithNonce(key, secret, vector.fingerprint, fromBase64(vector.nonce));
    expect(toBase64(wrapped)).toBe(vector.wrapped);
    const opened = await unwrapPrivateKey(key, fromBase64(vector.wrapped), vector.fingerprint.toUpperCase());
    expect(toBase64(opened)).toBe(vector.private_key);
  });

  it("does not open with another key, another fingerprint, another version, or a changed byte", async () => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    const wrapped = await wrapPrivateKey(key, utf8("secret"), "ab".repeat(20));
    const changed = (at: number) => wrapped.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const other = crypto.getRandomValues(new Uint8Array(32));
    await expect(unwrapPrivateKey(other, wrapped, "ab".repeat(20))).rejects.toThrow(WrapFailure);
    await expect(unwrapPrivateKey(key, wrapped, "cd".repeat(20))).rejects.toThrow(WrapFailure);
    for (const at of [0, 1, 13, wrapped.length - 1]) {
      await expect(unwrapPrivateKey(key, changed(at), "ab".repeat(20))).rejects.toThrow(WrapFailure);
    }
    await expect(unwrapPrivateKey(key, wrapped.slice(0, 20), "ab".repeat(20))).rejects.toThrow(WrapFailure);
  });
});

describe("recovery code", () => {
  it.each(vectors.recovery)("$code gives the keys of the shared vectors", async (vector) => {
    expect(formatRecoveryCode(fromBase64(vector.bytes))).toBe(vector.code);
    const keys = await recoveryKeys(vector.code.toLowerCase().replaceAll("-", " "));
    expect(toBase64(keys.authenticationKey)).toBe(vector.authentication_key);
    expect(toBase64(keys.wrapKey)).toBe(vector.wrap_key);
  });

  it("reads what people misread as meant, and refuses the rest", () => {
    const code = formatRecoveryCode(fromBase64(vectors.recovery[2]!.bytes));
    expect(parseRecoveryCode(code.replaceAll("0", "O").replaceAll("1", "l"))).toEqual(parseRecoveryCode(code));
    expect(newRecoveryCode()).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){7}[0-9A-HJKMNP-TV-Z]{4}$/);
    expect(() => parseRecoveryCode(code.slice(1))).toThrow(BadRecoveryCode);
    expect(() => parseRecoveryCode("U" + code.slice(1))).toThrow(BadRecoveryCode);
  });
});

describe("OpenPGP", () => {
  it("makes a v4 Curve25519 key that announces SEIPD v1 and not v2", async () => {
    const made = await generate("bob@sealpost.test");
    const key = await openpgp.readKey({ binaryKey: made.certificate });
    expect(key.getFingerprint()).toBe(made.fingerprint);
    expect(key.keyPacket.version).toBe(4);
    expect(key.getAlgorithmInfo()).toMatchObject({ algorithm: "eddsaLegacy", curve: "ed25519Legacy" });
    expect(key.subkeys[0]?.getAlgorithmInfo()).toMatchObject({ algorithm: "ecdh", curve: "curve25519Legacy" });
    expect(key.getUserIDs()).toEqual(["<bob@sealpost.test>"]);
    const { selfCertification } = (await key.getPrimaryUser()) as any;
    expect(Array.from(selfCertification.features)).toEqual([1]);
    expect(key.isPrivate()).toBe(false);
    expect((await readSecretKey(made.secretKey)).isDecrypted()).toBe(true);
  });

  it("opens what was sealed, and nothing that was changed", async () => {
    const made = await generate("bob@sealpost.test");
    const key = await readSecretKey(made.secretKey);
    const sealed = await sealToSelf(key, utf8("folder name"));
    expect(new TextDecoder().decode(await open(key, sealed))).toBe("folder name");
    for (const at of [sealed.length - 1, sealed.length - 30, 100]) {
      const changed = sealed.map((byte, i) => (i === at ? byte ^ 1 : byte));
      await expect(open(key, changed)).rejects.toThrow();
    }
  });

  it("fails closed when the integrity protection is missing (packet 9)", async () => {
    const made = await generate("bob@sealpost.test");
    const key = await readSecretKey(made.secretKey);
    const message = await openpgp.readMessage({ binaryMessage: await sealToSelf(key, utf8("hello")) });
    const packets = message.packets as any;
    const protectedData = packets.findPacket(openpgp.enums.packet.symEncryptedIntegrityProtectedData);
    const bare = new openpgp.SymmetricallyEncryptedDataPacket() as any;
    bare.encrypted = protectedData.encrypted;
    const list = new openpgp.PacketList() as any;
    list.push(packets[0], bare);
    await expect(open(key, list.write())).rejects.toThrow(/not authenticated|integrity/i);
  });

  it("stops at a decompression bomb", async () => {
    const made = await generate("bob@sealpost.test");
    const key = await readSecretKey(made.secretKey);
    const message = await openpgp.createMessage({ binary: new Uint8Array(90 * 1024 * 1024) });
    const config = { preferredCompressionAlgorithm: openpgp.enums.compression.zlib };
    const packed = (message as any).compress(openpgp.enums.compression.zlib, config);
    const sealed = await openpgp.encrypt({ message: packed, encryptionKeys: key.toPublic(), format: "binary" });
    expect((sealed as Uint8Array).length).toBeLessThan(1_000_000);
    await expect(open(key, sealed as never)).rejects.toThrow(/size/i);
  });
});

describe("strength hint", () => {
  it.each([
    ["short", 0],
    ["password12", 1],
    ["aaaaaaaaaaaaaaa", 1],
    ["alice.alice.1", 1],
    ["correct horse battery staple", 3],
    ["kV9#pQ2!xL7@tR4&zM", 4],
  ])("%s is level %i", (password, level) => {
    const got = strengthOf(password, "alice@sealpost.test").level;
    expect(level >= 3 ? got >= 3 : got <= level).toBe(true);
  });
});
