/** Bytes to text and back: base64 (standard alphabet, padded), hexadecimal, UTF-8. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** Encodes bytes as base64, in blocks: one call with a spread of 50 MB would exhaust the stack. */
export function toBase64(bytes: Uint8Array): string {
  return btoa(toBinaryText(bytes));
}

/** Decodes base64. @throws DOMException when it is none. */
export function fromBase64(text: string): Bytes {
  return fromBinaryText(atob(text));
}

/** One character for each byte, and back; the decoder called "latin1" is in truth that of Windows and loses bytes. */
export function toBinaryText(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return binary;
}

export function fromBinaryText(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text) as Bytes;
}

export function fromUtf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** A copy with a buffer of its own, fit to be handed to a worker. */
export function copyOf(bytes: Uint8Array): Bytes {
  return new Uint8Array(bytes) as Bytes;
}
