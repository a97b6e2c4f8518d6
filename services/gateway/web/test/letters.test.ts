import * as openpgp from "openpgp";
import { beforeAll, describe, expect, it } from "vitest";
import { checkDetached, openSigned, readCertificate, sealArmored, sealSigned } from "../src/crypto/letters";
import { generate, readSecretKey, sealToSelf } from "../src/crypto/pgp";
import { fromUtf8, utf8, type Bytes } from "../src/lib/encoding";
import { Handover } from "../src/lib/rpc";
import { decodeMail } from "../src/mail/decode";
import { decodeEnvelope } from "../src/mail/envelope";
import type { Letter } from "../src/mail/letter";
import { letterHandlers } from "../src/workers/letters";

async function person(address: string) {
  const made = await generate(address);
  const key = await readSecretKey(made.secretKey);
  return { ...made, address, key, worker: letterHandlers(() => key) };
}
type Person = Awaited<ReturnType<typeof person>>;
let ada: Person, bob: Person, eve: Person;
beforeAll(async () => {
  [ada, bob, eve] = await Promise.all([person("ada@x.example"), person("bob@x.example"), person("eve@x.example")]);
});

const certificateOf = (one: Person, names = "") => ({ binary: one.certificate, fingerprint: one.fingerprint, names });
/** What a worker hands over. */
const given = <T>(value: T): T => (value instanceof Handover ? (value.value as T) : value);
const letter = (change: Partial<Letter> = {}): Letter => ({
  from: { name: "Ada", address: "ada@x.example" },
  to: [{ name: "", address: "bob@x.example" }],
  cc: [],
  bcc: [{ name: "", address: "eve@x.example" }],
  subject: "Between us",
  text: "Nobody else reads this.",
  enclosures: [],
  date: "2026-11-22T17:00:00Z",
  messageId: "<1@x.example>",
  inReplyTo: "",
  references: [],
  ...change,
});

describe("a sealed letter", () => {
  it("is read by its reader, verified by its writer's key, and names nobody else", async () => {
    const sealed = given(
      await ada.worker.sealLetter({ letter: letter(), rcpt: bob.address, certificate: certificateOf(bob) }),
    );
    const message = await openpgp.readMessage({ binaryMessage: sealed.body });
    const ids = bob.key.getKeyIDs().map((id) => id.toHex());
    expect(message.getEncryptionKeyIDs().every((id) => ids.includes(id.toHex()))).toBe(true);
    expect(message.getEncryptionKeyIDs()).toHaveLength(1);

    const body = await openSigned(bob.key, sealed.body, await readCertificate(ada.certificate, ada.fingerprint));
    expect(body.signature).toBe("verified");
    const { view } = await decodeMail(body.plain);
    expect(view).toMatchObject({ subject: "Between us", bcc: [], from: [{ name: "Ada", address: "ada@x.example" }] });
    expect(fromUtf8(body.plain)).not.toMatch(/eve/);

    const opened = await openSigned(bob.key, sealed.envelope, ada.key.toPublic());
    expect(opened.signature).toBe("verified");
    expect(decodeEnvelope(opened.plain)).toMatchObject({
      subject: "Between us",
      bySender: true,
      rcpt: bob.address,
      preview: "Nobody else reads this.",
    });
    expect(fromUtf8(opened.plain)).not.toMatch(/eve/);
    await expect(openSigned(eve.key, sealed.body, null)).rejects.toThrow();
  });

  it("is read by gpg's rules too: SEIPD version 1", async () => {
    const sealed = await sealSigned(ada.key, bob.key.toPublic(), utf8("x"));
    const { packets } = await openpgp.readMessage({ binaryMessage: sealed });
    const data = packets.findPacket(openpgp.enums.packet.symEncryptedIntegrityProtectedData) as unknown as {
      version: number;
    };
    expect(data.version).toBe(1);
  });

  it("is not said to be verified when anything but the expected key signed it", async () => {
    const toBob = (from: Person) => sealSigned(from.key, bob.key.toPublic(), utf8("x"));
    const check = async (sealed: Bytes, writer: openpgp.Key | null) =>
      (await openSigned(bob.key, sealed, writer)).signature;
    expect(await check(await toBob(ada), ada.key.toPublic())).toBe("verified");
    expect(await check(await toBob(eve), ada.key.toPublic())).toBe("other-key");
    expect(await check(await toBob(ada), null)).toBe("unchecked");
    expect(await check(await sealToSelf(bob.key, utf8("x")), ada.key.toPublic())).toBe("none");
  });

  it("is not said to be verified when its signature was taken from another letter", async () => {
    const signed = await openpgp.sign({
      message: await openpgp.createMessage({ binary: utf8("pay Bob 1") }),
      signingKeys: ada.key,
      format: "object",
    });
    const literal = signed.packets.findPacket(openpgp.enums.packet.literalData) as unknown as {
      setBytes(bytes: Uint8Array, format: number): void;
    };
    literal.setBytes(utf8("pay Eve 1000"), openpgp.enums.literal.binary);
    const sealed = (await openpgp.encrypt({
      message: signed,
      encryptionKeys: bob.key.toPublic(),
      format: "binary",
    })) as Bytes;
    expect((await openSigned(bob.key, sealed, ada.key.toPublic())).signature).toBe("broken");
  });

  it("comes from a clock that is a little ahead", async () => {
    const message = await openpgp.createMessage({ binary: utf8("x") });
    const date = new Date(Date.now() + 3_600_000);
    const options = { message, encryptionKeys: bob.key.toPublic(), signingKeys: ada.key, date };
    const sealed = (await openpgp.encrypt({ ...options, format: "binary" })) as Bytes;
    expect((await openSigned(bob.key, sealed, ada.key.toPublic())).signature).toBe("verified");
  });

  it("is not sealed to a certificate that is another's", async () => {
    const asked = { letter: letter(), rcpt: bob.address };
    const swapped = { binary: eve.certificate, fingerprint: bob.fingerprint, names: "" };
    await expect(ada.worker.sealLetter({ ...asked, certificate: swapped })).rejects.toMatchObject({
      reason: "certificate_unusable",
    });
    await expect(
      ada.worker.sealMime({ letter: letter(), certificate: certificateOf(eve, bob.address) }),
    ).rejects.toMatchObject({
      reason: "certificate_unusable",
    });
    await expect(
      ada.worker.sealMime({ letter: letter(), certificate: { ...certificateOf(eve), binary: utf8("no") } }),
    ).rejects.toThrow();
  });
});

describe("PGP/MIME", () => {
  it("carries the subject inside alone, and every field that counts", async () => {
    const mail = given(
      await ada.worker.sealMime({ letter: letter(), certificate: certificateOf(bob, "Bob@x.example") }),
    );
    const text = fromUtf8(mail);
    expect(text).toMatch(/^Subject: \.\.\.\r$/m);
    expect(text).not.toMatch(/Between us|eve@/);
    expect(text).toMatch(/Content-Type: multipart\/encrypted; protocol="application\/pgp-encrypted";\r\n boundary=/);
    const armored = /-----BEGIN[^]*END PGP MESSAGE-----/.exec(text)?.[0] ?? "";
    const opened = await openSigned(bob.key, armored, ada.key.toPublic());
    expect(opened.signature).toBe("verified");
    const inner = fromUtf8(opened.plain);
    expect(inner).toMatch(/^Subject: Between us\r$/m);
    expect(inner).toMatch(/^Content-Type: text\/plain; charset=utf-8; format=flowed; protected-headers="v1"\r$/m);
    const { view } = await decodeMail(opened.plain);
    expect(view.blocks[0]?.text).toBe("Nobody else reads this.\n");
  });

  it("checks a signature beside the text", async () => {
    const content = utf8("Content-Type: text/plain\r\n\r\nhello\r\n");
    const message = await openpgp.createMessage({ binary: content });
    const signature = (await openpgp.sign({ message, signingKeys: ada.key, detached: true })) as string;
    expect(await checkDetached(content, signature, ada.key.toPublic())).toBe("verified");
    expect(await checkDetached(utf8("changed"), signature, ada.key.toPublic())).toBe("broken");
    expect(await checkDetached(content, signature, eve.key.toPublic())).toBe("other-key");
    expect(await checkDetached(content, signature, null)).toBe("unchecked");
  });
});

describe("what we keep for ourselves", () => {
  it("comes back, and nothing that another sealed to us passes for it", async () => {
    const value = { v: 1, contacts: [{ name: "Bob" }] };
    expect(await ada.worker.openObject({ sealed: await ada.worker.sealObject({ value }) })).toEqual(value);
    const planted = await sealSigned(eve.key, ada.key.toPublic(), utf8('{"v":1}'));
    await expect(ada.worker.openObject({ sealed: planted })).rejects.toMatchObject({ reason: "not_signed_by_us" });
    const unsigned = await sealToSelf(ada.key, utf8('{"v":1}'));
    await expect(ada.worker.openObject({ sealed: unsigned })).rejects.toMatchObject({ reason: "not_signed_by_us" });
  });

  it("shows the blind recipients in the own copy", async () => {
    const sealed = given(await ada.worker.sealOwn({ letter: letter(), notes: { answers: "", sentTo: [] } }));
    const opened = given(await ada.worker.openLetter({ sealed: sealed.body, writer: "own" }));
    expect(opened.signature).toBe("verified");
    expect((await decodeMail(opened.plain)).view.bcc).toEqual([{ name: "", address: "eve@x.example" }]);
  });
});

it("an armoured letter opens like a binary one", async () => {
  const armored = await sealArmored(ada.key, bob.key.toPublic(), utf8("x"));
  expect((await openSigned(bob.key, armored, ada.key.toPublic())).signature).toBe("verified");
});
