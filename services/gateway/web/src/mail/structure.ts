/**
 * Cuts a mail into its leaves without decoding anything: one pass over the bytes per level, bounded in depth and parts.
 *
 * The library that decodes (postal-mime) joins all text parts of a mail into one. Parts must stay apart, since text of one
 * part must never complete markup of another (EFAIL), so the cutting is done here and the library sees one leaf at a time.
 */
import { fromBinaryText, toBinaryText, type Bytes } from "../lib/encoding";

export const MOST_DEPTH = 50;
export const MOST_PARTS = 1000;
const MOST_HEADER_BYTES = 256 * 1024;
const LF = 10;
const CR = 13;
const DASH = 45;

export interface Leaf {
  /** Header block with its empty line, and the encoded body. */
  headers: Bytes;
  body: Bytes;
  type: string;
  disposition: string;
  encoding: string;
  /** Number of the nearest multipart/alternative around it; leaves of one number say the same thing. */
  alternative: number | null;
  /** Inside multipart/related: it may be named by a cid: address. */
  related: boolean;
}

export interface Structure {
  rootHeaders: Bytes;
  rootType: string;
  leaves: Leaf[];
  /** The bounds were met: the rest of the mail is only in its source. */
  truncated: boolean;
}

interface Place {
  depth: number;
  alternative: number | null;
  related: boolean;
  fallbackType: string;
}

export function structureOf(mail: Bytes): Structure {
  const structure: Structure = {
    rootHeaders: mail.subarray(0, 0),
    rootType: "text/plain",
    leaves: [],
    truncated: false,
  };
  const splitter = new Splitter(structure);
  const root = splitter.walk(mail, { depth: 0, alternative: null, related: false, fallbackType: "text/plain" });
  structure.rootHeaders = root.headers;
  structure.rootType = root.type;
  return structure;
}

class Splitter {
  private parts = 0;
  private alternatives = 0;

  constructor(private readonly structure: Structure) {}

  walk(part: Bytes, place: Place): { headers: Bytes; type: string } {
    const { headers, body } = splitHeaders(part);
    const fields = contentFields(headers);
    const type = fields.type || place.fallbackType;
    if (!type.startsWith("multipart/") || !fields.boundary) {
      const { disposition, encoding } = fields;
      const { alternative, related } = place;
      const shown = type.startsWith("multipart/") ? "application/octet-stream" : type;
      this.structure.leaves.push({ headers, body, type: shown, disposition, encoding, alternative, related });
    } else if (place.depth >= MOST_DEPTH) {
      this.structure.truncated = true;
    } else {
      this.walkChildren(type, splitBody(body, fields.boundary, MOST_PARTS), place);
    }
    return { headers, type };
  }

  private walkChildren(type: string, children: Bytes[], place: Place): void {
    const inner: Place = {
      depth: place.depth + 1,
      alternative: type === "multipart/alternative" ? this.alternatives++ : place.alternative,
      related: place.related || type === "multipart/related",
      fallbackType: type === "multipart/digest" ? "message/rfc822" : "text/plain",
    };
    for (const child of children) {
      if (this.parts++ >= MOST_PARTS) {
        this.structure.truncated = true;
        return;
      }
      this.walk(child, inner);
    }
  }
}

/** Parts between the lines `--boundary`; preamble and epilogue fall away (RFC 2046, section 5.1). */
export function splitBody(body: Bytes, boundary: string, most: number): Bytes[] {
  const delimiter = fromBinaryText("--" + boundary);
  const parts: Bytes[] = [];
  let partStart = -1;
  for (let line = 0; line < body.length && parts.length <= most;) {
    const lineEnd = endOfLine(body, line);
    const kind = delimiterKind(body, line, lineEnd, delimiter);
    if (kind !== "none") {
      if (partStart >= 0) parts.push(body.subarray(partStart, beforeLineBreak(body, partStart, line)));
      partStart = lineEnd;
      if (kind === "last") return parts;
    }
    line = lineEnd;
  }
  if (partStart >= 0 && partStart < body.length) parts.push(body.subarray(partStart));
  return parts;
}

function delimiterKind(body: Bytes, start: number, end: number, delimiter: Uint8Array): "none" | "next" | "last" {
  if (body[start] !== DASH || body[start + 1] !== DASH || end - start < delimiter.length) return "none";
  for (let i = 2; i < delimiter.length; i++) if (body[start + i] !== delimiter[i]) return "none";
  let at = start + delimiter.length;
  const last = body[at] === DASH && body[at + 1] === DASH;
  if (last) at += 2;
  for (; at < end; at++) {
    const byte = body[at];
    if (byte !== 32 && byte !== 9 && byte !== CR && byte !== LF) return "none";
  }
  return last ? "last" : "next";
}

function endOfLine(bytes: Bytes, from: number): number {
  const found = bytes.indexOf(LF, from);
  return found < 0 ? bytes.length : found + 1;
}

function beforeLineBreak(bytes: Bytes, start: number, end: number): number {
  if (end > start && bytes[end - 1] === LF) end--;
  if (end > start && bytes[end - 1] === CR) end--;
  return end;
}

export function splitHeaders(part: Bytes): { headers: Bytes; body: Bytes } {
  let line = 0;
  while (line < part.length) {
    const end = endOfLine(part, line);
    const length = end - line;
    if (length === 1 || (length === 2 && part[line] === CR)) {
      return { headers: part.subarray(0, end), body: part.subarray(end) };
    }
    line = end;
  }
  return { headers: part, body: part.subarray(part.length) };
}

const MOST_SIGNATURE = 64 * 1024;

/** The two parts of an OpenPGP multipart/signed (RFC 3156, section 5); null for anything that is not exactly two. */
export function signedPartsOf(mail: Bytes): { content: Bytes; signature: string } | null {
  const root = splitHeaders(mail);
  const { type, boundary } = contentFields(root.headers);
  if (type !== "multipart/signed" || !boundary) return null;
  const parts = splitBody(root.body, boundary, 3);
  const [content, beside] = parts;
  if (parts.length !== 2 || !content || !beside || beside.length > MOST_SIGNATURE) return null;
  const signature = splitHeaders(beside);
  if (contentFields(signature.headers).type !== "application/pgp-signature") return null;
  return { content: content.slice(), signature: toBinaryText(signature.body) };
}

export interface ContentFields {
  type: string;
  boundary: string;
  disposition: string;
  encoding: string;
}

export function contentFields(headers: Bytes): ContentFields {
  const text = toBinaryText(headers.subarray(0, MOST_HEADER_BYTES)).replace(/\r?\n[ \t]+/g, " ");
  const contentType = field(text, "content-type");
  return {
    type: firstToken(contentType),
    boundary: parameter(contentType, "boundary"),
    disposition: firstToken(field(text, "content-disposition")),
    encoding: firstToken(field(text, "content-transfer-encoding")),
  };
}

function field(text: string, name: string): string {
  const found = new RegExp(`^${name}[ \\t]*:(.*)$`, "im").exec(text);
  return (found?.[1] ?? "").trim();
}

function firstToken(value: string): string {
  return (/^[^\s;]*/.exec(value)?.[0] ?? "").toLowerCase();
}

function parameter(value: string, name: string): string {
  const found = new RegExp(`;\\s*${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, "i").exec(value);
  return (found?.[1]?.replace(/\\(.)/g, "$1") ?? found?.[2] ?? "").trimEnd().slice(0, 200);
}
