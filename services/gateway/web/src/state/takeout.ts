/**
 * All mail in the open, as one file that mail programs read (mbox, RFC 4155, lines that begin with "From " quoted as mboxrd
 * does). It is made here, since nobody else can open the mail; the pieces go into one Blob, which the browser may keep outside
 * of memory. A mail that does not open is left out and counted.
 */
import { mail } from "../api/calls";
import type { Message, Page } from "../api/types";
import { PATIENT, vault } from "../crypto/vault";
import { fromBinaryText, toBinaryText, type Bytes } from "../lib/encoding";

export interface TakeoutProgress {
  done: number;
  failed: number;
}

const BATCH = 2 * 1024 * 1024;

export async function openMailbox(tell: (progress: TakeoutProgress) => void, signal: AbortSignal): Promise<{ file: Blob; failed: number }> {
  const whole: Blob[] = [];
  let pieces: string[] = [];
  let size = 0;
  let done = 0;
  let failed = 0;
  const settle = () => {
    whole.push(new Blob(pieces.map(fromBinaryText)));
    pieces = [];
    size = 0;
  };
  let cursor: string | null = null;
  do {
    const page: Page<Message> = await mail.all(cursor, signal);
    for (const message of page.messages) {
      signal.throwIfAborted();
      try {
        const text = toBinaryText(await openBody(message));
        pieces.push(quoted(message, text));
        size += text.length;
        if (size > BATCH) settle();
      } catch (error) {
        if (signal.aborted) throw error;
        failed++;
      }
      tell({ done: ++done, failed });
    }
    cursor = page.next_cursor;
  } while (cursor !== null);
  settle();
  return { file: new Blob(whole, { type: "application/mbox" }), failed };
}

/** One mail as it stands in the file. @param text its bytes as characters of one byte each */
export function quoted(message: Pick<Message, "received" | "folder">, text: string): string {
  const lines = text.replace(/\r\n/g, "\n").replace(/^(>*From )/gm, ">$1");
  const folder = `X-Sealpost-Folder: ${message.folder}\n`;
  return `From sealed@localhost ${asctime(new Date(message.received))}\n${folder}${lines}${lines.endsWith("\n") ? "" : "\n"}\n`;
}

/** "Mon Nov 23 04:00:00 2026", UTC */
export function asctime(time: Date): string {
  const [day, date, month, year, clock] = time.toUTCString().replace(",", "").split(" ");
  return `${day} ${month} ${String(Number(date)).padStart(2)} ${clock} ${year}`;
}

async function openBody(message: Message): Promise<Bytes> {
  const sealed = await mail.body(message.id);
  if (message.scheme !== "openpgp-sender") {
    return vault.call("openBody", { sealed }, { timeout: PATIENT, transfer: [sealed.buffer] });
  }
  // Whoever signed it is not asked for here: a file says nothing of signatures.
  return (await vault.call("openLetter", { sealed, writer: null }, { timeout: PATIENT })).plain;
}
