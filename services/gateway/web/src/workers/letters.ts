/** The part of the vault that writes and opens letters (crypto/letters.ts): what leaves it is sealed, or was asked for open. */
import type { Key, PrivateKey } from "openpgp";
import {
  BadCertificate,
  checkDetached,
  namesAddress,
  openSigned,
  readCertificate,
  sealArmored,
  sealSigned,
  type OpenedLetter,
  type Signature,
} from "../crypto/letters";
import { copyOf, fromUtf8, utf8, type Bytes } from "../lib/encoding";
import { Handover } from "../lib/rpc";
import { buildMail, buildProtected, wrapEncrypted } from "../mail/build";
import { writeEnvelope } from "../mail/envelope";
import type { Letter, OwnNotes } from "../mail/letter";

/** A certificate as the directory gave it. */
export interface Certificate {
  binary: Bytes;
  fingerprint: string;
  /** the address that it must name itself; "" where the directory vouches (members) */
  names: string;
}

export interface SealedLetter {
  envelope: Bytes;
  body: Bytes;
}

export class NotOurs extends Error {
  readonly reason = "not_signed_by_us";
}

export function letterHandlers(key: () => PrivateKey) {
  const seal = async (letter: Letter, reader: Key, rcpt: string, own: OwnNotes | null) => {
    const envelope = await sealSigned(key(), reader, writeEnvelope(letter, rcpt));
    const body = await sealSigned(key(), reader, await buildMail(letter, own));
    const sealed: SealedLetter = { envelope: copyOf(envelope), body: whole(body) };
    return handOver(sealed, [sealed.envelope.buffer, sealed.body.buffer]);
  };
  return {
    /** The copy of one member. */
    async sealLetter(asked: { letter: Letter; rcpt: string; certificate: Certificate }): Promise<SealedLetter> {
      return seal(asked.letter, await usable(asked.certificate), asked.rcpt, null);
    },

    /** The writer's own copy, or a draft: with Bcc. */
    async sealOwn({ letter, notes }: { letter: Letter; notes: OwnNotes }): Promise<SealedLetter> {
      return seal(letter, key().toPublic(), letter.from.address, notes);
    },

    /** PGP/MIME for one reader elsewhere. */
    async sealMime(asked: { letter: Letter; certificate: Certificate }): Promise<Bytes> {
      const reader = await usable(asked.certificate);
      const armored = await sealArmored(key(), reader, await buildProtected(asked.letter));
      return passed(wrapEncrypted(asked.letter, armored));
    },

    /** The mail as it is, for those who have no key. */
    async writeOpen({ letter }: { letter: Letter }): Promise<Bytes> {
      return passed(await buildMail(letter));
    },

    /** Opens a letter; `writer`: the certificate of who is said to have written it, "own" for ourselves. */
    async openLetter(asked: { sealed: Bytes | string; writer: Certificate | "own" | null }): Promise<OpenedLetter> {
      const opened = await openSigned(key(), asked.sealed, await writerOf(asked.writer, key));
      return handOver(opened, [opened.plain.buffer]);
    },

    async checkDetached(asked: { content: Bytes; signature: string; writer: Certificate | null }): Promise<Signature> {
      return checkDetached(asked.content, asked.signature, await writerOf(asked.writer, key));
    },

    /** A JSON object for nobody but ourselves. */
    async sealObject({ value }: { value: unknown }): Promise<Bytes> {
      return sealSigned(key(), key().toPublic(), utf8(JSON.stringify(value)));
    },

    /** @throws NotOurs when somebody else could have made it: anybody can seal to a certificate, only we sign */
    async openObject({ sealed }: { sealed: Bytes }): Promise<unknown> {
      const { plain, signature } = await openSigned(key(), sealed, key().toPublic());
      if (signature !== "verified") throw new NotOurs();
      return JSON.parse(fromUtf8(plain)) as unknown;
    },
  };
}

async function usable(certificate: Certificate): Promise<Key> {
  const read = await readCertificate(certificate.binary, certificate.fingerprint);
  if (certificate.names && !namesAddress(read, certificate.names)) throw new BadCertificate();
  return read;
}

/** A certificate that cannot be read checks nothing; that is told as "unchecked". */
async function writerOf(writer: Certificate | "own" | null, key: () => PrivateKey): Promise<Key | null> {
  if (writer === "own") return key().toPublic();
  if (writer === null) return null;
  return usable(writer).catch(() => null);
}

function handOver<T>(value: T, transfer: ArrayBuffer[]): T {
  return new Handover(value, transfer) as unknown as T;
}

function passed(bytes: Bytes): Bytes {
  const own = whole(bytes);
  return handOver(own, [own.buffer]);
}

/** Only bytes that fill their buffer can be handed over. */
function whole(bytes: Bytes): Bytes {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : copyOf(bytes);
}
