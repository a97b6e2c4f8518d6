/** Takes a mail apart, away from the page's thread: a worker for each mail, ended when the mail is closed or takes too long. */
import type { Bytes } from "../lib/encoding";
import { Handover, serve } from "../lib/rpc";
import { decodeContent, decodeMail, type MailView } from "../mail/decode";
import { signedPartsOf, type Leaf } from "../mail/structure";

const MOST_SOURCE = 256 * 1024;

let source: Bytes = new Uint8Array(0);
let leaves: Leaf[] = [];

const handlers = {
  async parse({ mail }: { mail: Bytes }): Promise<MailView> {
    source = mail;
    const decoded = await decodeMail(mail);
    leaves = decoded.leaves;
    return decoded.view;
  },

  async content({ index }: { index: number }): Promise<Bytes> {
    const leaf = leaves[index];
    if (!leaf) throw new RangeError("no such part");
    const bytes = (await decodeContent(leaf)).slice();
    return new Handover(bytes, [bytes.buffer]) as unknown as Bytes;
  },

  /** Of multipart/signed: what is signed, byte for byte, and the signature; null when it is not exactly that. */
  signedParts(_: null): { content: Bytes; signature: string } | null {
    return signedPartsOf(source);
  },

  /** The beginning of the mail as text, and how long it is. */
  sourceText(_: null): { text: string; total: number } {
    const text = new TextDecoder("utf-8").decode(source.subarray(0, MOST_SOURCE));
    return { text, total: source.length };
  },

  sourceBytes(_: null): Bytes {
    return source;
  },
};
export type MimeHandlers = typeof handlers;

serve(handlers);
