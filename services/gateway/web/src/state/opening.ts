/**
 * Opening a mail of a member's mailbox, and finding out who signed it.
 *
 * A copy that its sender sealed is checked with the certificate that the directory has for the sender it names; PGP/MIME from
 * outside with the one that the sender's domain publishes, but asking for that tells the domain that somebody is reading, so it
 * is done only when the reader wants it. What is shown is what was inside the verified part, and nothing beside it (EFAIL).
 */
import { mail } from "../api/calls";
import type { Signature } from "../crypto/letters";
import { PATIENT, QUICK, vault } from "../crypto/vault";
import { fromBase64, fromUtf8, type Bytes } from "../lib/encoding";
import { addressKey, domainOf } from "../mail/address";
import { OpenedMail } from "../mail/opened";
import type { Certificate } from "../workers/letters";
import { info } from "./info";
import type { Row } from "./list";
import { freshRoutes, routes } from "./recipients";
import { account } from "./session";

export interface SenderCheck {
  /** sealed: a copy from the sender's client; encrypted, signed: PGP/MIME that came by SMTP */
  how: "sealed" | "encrypted" | "signed";
  signature: Signature;
  /** the address whose certificate was, or would be, asked */
  address: string;
  own: boolean;
  /** there was no certificate because nobody has asked for one */
  askable: boolean;
}

export interface OpenedMessage {
  /** what is shown */
  mail: OpenedMail;
  check: SenderCheck | null;
  /** it came encrypted once more, and this layer could not be opened */
  closed: boolean;
  close(): void;
}

/** Sealed by its sender's client: the server says so, or the envelope does; either suffices to distrust the rest of it. */
export function isBySender(row: Row): boolean {
  return row.scheme === "openpgp-sender" || row.envelope?.bySender === true;
}

export async function bodyOf(row: Row): Promise<Bytes> {
  const sealed = await mail.body(row.id);
  return vault.call("openBody", { sealed }, { timeout: PATIENT, transfer: [sealed.buffer] });
}

/** @param lookUp whether the sender's domain may be asked for a certificate */
export async function openMessage(row: Row, lookUp: boolean): Promise<OpenedMessage> {
  if (isBySender(row)) return openSealed(row);
  const outer = await OpenedMail.parse(await bodyOf(row));
  const { inner, from } = outer.view;
  if (inner === null || from.length !== 1) return plain(outer, inner === "encrypted");
  try {
    const found = await (inner === "encrypted" ? openEncrypted(outer, lookUp) : openSigned(outer, lookUp));
    return found ?? plain(outer, inner === "encrypted");
  } catch {
    // Made for another key, or not what it says: shown as it came, and told.
    return plain(outer, inner === "encrypted");
  }
}

export function plain(opened: OpenedMail, closed = false): OpenedMessage {
  return { mail: opened, check: null, closed, close: () => opened.close() };
}

async function openSealed(row: Row): Promise<OpenedMessage> {
  const claimed = row.envelope?.from.address ?? "";
  const writer = await writerOf(claimed, true);
  const sealed = await mail.body(row.id);
  const opened = await vault.call("openLetter", { sealed, writer: writer.certificate }, { timeout: PATIENT });
  const parsed = await OpenedMail.parse(opened.plain);
  const signature = agreed(opened.signature, parsed, claimed, false);
  const check: SenderCheck = { how: "sealed", signature, address: claimed, own: writer.own, askable: false };
  return { mail: parsed, check, closed: false, close: () => parsed.close() };
}

async function openEncrypted(outer: OpenedMail, lookUp: boolean): Promise<OpenedMessage | null> {
  const { parts, from } = outer.view;
  const version = parts.some((part) => part.type === "application/pgp-encrypted");
  const data = parts.find((part) => part.type === "application/octet-stream");
  if (!version || !data || parts.length !== 2) return null;
  const address = from[0]?.address ?? "";
  const writer = await writerOf(address, lookUp);
  const sealed = fromUtf8(await outer.content(data));
  const opened = await vault.call("openLetter", { sealed, writer: writer.certificate }, { timeout: PATIENT });
  const inner = await OpenedMail.parse(opened.plain);
  const signature = agreed(opened.signature, inner, address, true);
  return layered(outer, inner, { how: "encrypted", signature, address, own: writer.own, askable: writer.askable });
}

async function openSigned(outer: OpenedMail, lookUp: boolean): Promise<OpenedMessage | null> {
  const parts = await outer.signedParts();
  if (!parts) return null;
  const address = outer.view.from[0]?.address ?? "";
  const writer = await writerOf(address, lookUp);
  const certificate = writer.certificate === "own" ? null : writer.certificate;
  const made = await vault.call("checkDetached", { ...parts, writer: certificate }, { timeout: QUICK });
  const inner = await OpenedMail.parse(parts.content);
  const signature = agreed(made, inner, address, true);
  return layered(outer, inner, { how: "signed", signature, address, own: false, askable: writer.askable });
}

function layered(outer: OpenedMail, inner: OpenedMail, check: SenderCheck): OpenedMessage {
  const close = () => {
    inner.close();
    outer.close();
  };
  return { mail: inner, check, closed: false, close };
}

/**
 * A signature speaks for the sender only if what is signed names the same one. `absent`: a signed part of PGP/MIME may bring no
 * header of its own.
 */
function agreed(signature: Signature, signed: OpenedMail, claimed: string, absent: boolean): Signature {
  const from = signed.view.from.filter((one) => one.address !== "");
  if (absent && from.length === 0) return signature;
  const same = from.length === 1 && addressKey(from[0]!.address) === addressKey(claimed);
  return signature === "verified" && !same ? "other-key" : signature;
}

interface Writer {
  certificate: Certificate | "own" | null;
  own: boolean;
  askable: boolean;
}

async function writerOf(address: string, lookUp: boolean): Promise<Writer> {
  const own = addressKey(address) === addressKey(account.value?.address ?? "");
  if (own) return { certificate: "own", own, askable: false };
  const ours = info.value?.member_domains.includes(domainOf(address)) ?? false;
  const known = routes.value.get(addressKey(address));
  const asked = typeof known === "object" ? known : ours || lookUp ? await ask(address) : null;
  const usable = asked?.certificate && (asked.kind === "member" || asked.kind === "wkd");
  if (!usable) return { certificate: null, own, askable: asked === null && !ours && !lookUp };
  const names = asked.kind === "wkd" ? address : "";
  const binary = fromBase64(asked.certificate ?? "");
  return { certificate: { binary, fingerprint: asked.fingerprint ?? "", names }, own, askable: false };
}

async function ask(address: string) {
  try {
    return (await freshRoutes([address])).get(addressKey(address)) ?? null;
  } catch {
    // Without the directory the signature stays unchecked, which is what is shown.
    return null;
  }
}
