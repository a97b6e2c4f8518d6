/**
 * Decodes the leaves that structure.ts cut: headers, texts, names; contents of attachments only when asked for.
 *
 * postal-mime does what needs tables (transfer encodings, character sets, encoded words, addresses), one leaf at a time, with
 * its limits set. What fails is told as such; the source of the mail can always be read.
 */
import PostalMime, { type Address, type Email } from "postal-mime";
import { fromBinaryText, toBinaryText, utf8, type Bytes } from "../lib/encoding";
import { tooCostly } from "./cost";
import { plainLine, type Person } from "./envelope";
import { fromFlowed } from "./flowed";
import { structureOf, type Leaf } from "./structure";

const LIMITS = { maxNestingDepth: 2, maxHeadersSize: 256 * 1024, forceRfc822Attachments: true } as const;
const MOST_TEXT = 1_000_000;
// Taken out before the library sees it: it joins lines without looking at their quoting.
const FLOWED = /;\s*format\s*=\s*"?flowed"?/i;
const MOST_ENTRIES = 50;

export interface Block {
  text: string | null;
  html: string | null;
  /** The HTML was there but would be too costly to build, or the text was cut. */
  withheld: boolean;
}

export interface Part {
  index: number;
  name: string;
  type: string;
  /** Decoded bytes, estimated from the encoded length. */
  size: number;
  contentId: string;
  related: boolean;
}

export interface MailView {
  from: Person[];
  to: Person[];
  cc: Person[];
  /** Only in the writer's own copy. */
  bcc: Person[];
  replyTo: Person[];
  subject: string;
  date: string;
  messageId: string;
  inReplyTo: string;
  references: string[];
  fields: { name: string; value: string }[];
  blocks: Block[];
  parts: Part[];
  /** multipart/encrypted or multipart/signed at the top: an inner layer that is not opened here. */
  inner: "encrypted" | "signed" | null;
  truncated: boolean;
}

export async function decodeMail(mail: Bytes): Promise<{ view: MailView; leaves: Leaf[] }> {
  const structure = structureOf(mail);
  const head = await headerEmail(structure.rootHeaders);
  const { blocks, parts, leaves } = await decodeLeaves(structure.leaves);
  const inner = /^multipart\/(encrypted|signed)$/.exec(structure.rootType)?.[1] ?? null;
  const view: MailView = {
    from: people([head.from]),
    to: people(head.to),
    cc: people(head.cc),
    bcc: people(head.bcc),
    replyTo: people(head.replyTo),
    subject: plainLine((head.subject ?? "").slice(0, 500)),
    date: head.date ?? "",
    messageId: plainLine((head.messageId ?? "").slice(0, 500)),
    inReplyTo: messageIds(head.inReplyTo)[0] ?? "",
    references: messageIds(head.references),
    fields: head.headers.slice(0, 1000).map(({ originalKey, value }) => ({ name: originalKey, value })),
    blocks,
    parts,
    inner: inner as MailView["inner"],
    truncated: structure.truncated,
  };
  return { view, leaves };
}

/** The decoded bytes of one leaf, whatever its type says. */
export async function decodeContent(leaf: Leaf): Promise<Bytes> {
  const encoding = /^(base64|quoted-printable)$/.test(leaf.encoding) ? leaf.encoding : "binary";
  if (encoding === "binary") return leaf.body;
  const head = `Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
  const email = await PostalMime.parse(await new Blob([head, leaf.body]).arrayBuffer(), LIMITS);
  const content = email.attachments[0]?.content ?? new ArrayBuffer(0);
  return typeof content === "string" ? utf8(content) : new Uint8Array(content as ArrayBuffer);
}

async function decodeLeaves(all: Leaf[]): Promise<{ blocks: Block[]; parts: Part[]; leaves: Leaf[] }> {
  const groups = new Map<string, Block>();
  const parts: Part[] = [];
  const leaves: Leaf[] = [];
  for (const [at, leaf] of all.entries()) {
    const meta = await attachmentNames(leaf);
    if (isShown(leaf, meta.name, all.length)) {
      const key = leaf.alternative === null ? `leaf ${at}` : `alternative ${leaf.alternative}`;
      await addText(leaf, blockFor(groups, key, leaf));
    } else {
      parts.push({ index: leaves.length, type: leaf.type, size: estimatedSize(leaf), related: leaf.related, ...meta });
      leaves.push(leaf);
    }
  }
  return { blocks: [...groups.values()], parts, leaves };
}

/** Two parts of one kind are never joined, not even inside one alternative: the second becomes a block of its own. */
function blockFor(groups: Map<string, Block>, key: string, leaf: Leaf): Block {
  const kind = leaf.type === "text/html" ? "html" : "text";
  const existing = groups.get(key);
  if (existing && existing[kind] === null && !existing.withheld) return existing;
  const block: Block = { text: null, html: null, withheld: false };
  groups.set(existing ? `${key} ${groups.size}` : key, block);
  return block;
}

async function addText(leaf: Leaf, block: Block): Promise<void> {
  const fields = contentHeaders(leaf);
  const head = fromBinaryText(fields.join("\r\n").replace(FLOWED, "") + "\r\n\r\n");
  const email = await PostalMime.parse(await new Blob([head, leaf.body]).arrayBuffer(), LIMITS);
  if (leaf.type === "text/html") {
    const html = email.html ?? "";
    if (tooCostly(html)) block.withheld = true;
    else block.html = html;
    return;
  }
  const text = email.text ?? "";
  const kept = text.slice(0, MOST_TEXT).replace(/\r\n?/g, "\n");
  const format = fields.find((field) => FLOWED.test(field));
  block.text = format ? fromFlowed(kept, /;\s*delsp\s*=\s*"?yes/i.test(format)) : kept;
  if (text.length > MOST_TEXT) block.withheld = true;
}

function isShown(leaf: Leaf, name: string, siblings: number): boolean {
  if (leaf.type !== "text/plain" && leaf.type !== "text/html") return false;
  if (leaf.disposition === "attachment") return false;
  return name === "" || leaf.disposition === "inline" || siblings === 1;
}

async function attachmentNames(leaf: Leaf): Promise<{ name: string; contentId: string }> {
  const fields = contentHeaders(leaf);
  if (!fields.some((field) => /name|^content-id/i.test(field))) return { name: "", contentId: "" };
  try {
    // As an attachment with one byte of content, whatever it is: only the fields are wanted.
    const kept = fields
      .filter((field) => !/^content-transfer-encoding/i.test(field))
      .map((field) => field.replace(/^content-type[ \t]*:[ \t]*[^;]*/i, "Content-Type: application/octet-stream"));
    const email = await PostalMime.parse(fromBinaryText(kept.join("\r\n") + "\r\n\r\nx"), LIMITS);
    const found = email.attachments[0];
    return { name: found?.filename ?? "", contentId: found?.contentId ?? "" };
  } catch {
    return { name: "", contentId: "" };
  }
}

/** The unfolded fields that describe a leaf's content: the others may be as long as they like. */
function contentHeaders(leaf: Leaf): string[] {
  const text = toBinaryText(leaf.headers.subarray(0, LIMITS.maxHeadersSize));
  const unfolded = text.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
  return unfolded.filter((field) => /^content-/i.test(field) && field.length < 10_000).slice(0, 20);
}

async function headerEmail(headers: Bytes): Promise<Email> {
  try {
    return await PostalMime.parse(headers, LIMITS);
  } catch {
    return { headers: [], headerLines: [], attachments: [] };
  }
}

/** What looks like message ids, and no more of them than anybody needs. */
function messageIds(text: string | undefined): string[] {
  return (text?.match(/<[^<>\s]{3,250}>/g) ?? []).slice(-30);
}

function people(addresses: (Address | undefined)[] | undefined): Person[] {
  const flat = (addresses ?? []).flatMap((one) => (one?.group ? one.group : one ? [one] : []));
  return flat.slice(0, MOST_ENTRIES).map(({ name, address }) => ({
    name: plainLine(name.slice(0, 500)),
    address: plainLine((address ?? "").slice(0, 500)),
  }));
}

function estimatedSize(leaf: Leaf): number {
  if (leaf.encoding !== "base64") return leaf.body.length;
  return Math.floor((leaf.body.length * 3 * 76) / (4 * 78));
}
