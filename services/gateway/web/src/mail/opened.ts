/** One opened mail: its worker, what it decoded to, and the object URLs made from its parts; `close` ends all of them. */
import type { Bytes } from "../lib/encoding";
import { WorkerCalls } from "../lib/rpc";
import workerUrl from "../workers/mime?worker&url";
import type { MimeHandlers } from "../workers/mime";
import type { MailView, Part } from "./decode";
import { contentIdOf } from "./sanitize";

const TIMEOUT = 15_000;
const IMAGES = /^image\/(png|jpe?g|gif|webp)$/;
const MOST_IMAGE = 15 * 1024 * 1024;

export class OpenedMail {
  private readonly urls: string[] = [];

  private constructor(
    private readonly calls: WorkerCalls<MimeHandlers>,
    readonly view: MailView,
  ) {}

  /** @throws WorkerFailure "timeout" for a mail that takes too long to take apart */
  static async parse(mail: Bytes): Promise<OpenedMail> {
    const calls = new WorkerCalls<MimeHandlers>(workerUrl);
    try {
      const view = await calls.call("parse", { mail }, { timeout: TIMEOUT, transfer: [mail.buffer] });
      return new OpenedMail(calls, view);
    } catch (error) {
      calls.close();
      throw error;
    }
  }

  content(part: Part): Promise<Bytes> {
    return this.calls.call("content", { index: part.index }, { timeout: TIMEOUT });
  }

  signedParts(): Promise<{ content: Bytes; signature: string } | null> {
    return this.calls.call("signedParts", null, { timeout: TIMEOUT });
  }

  sourceText(): Promise<{ text: string; total: number }> {
    return this.calls.call("sourceText", null, { timeout: TIMEOUT });
  }

  sourceBytes(): Promise<Bytes> {
    return this.calls.call("sourceBytes", null, { timeout: TIMEOUT });
  }

  /** An object URL for an image that the mail brought, null for anything else. */
  async imageFor(contentId: string): Promise<string | null> {
    const part = this.view.parts.find((one) => one.contentId !== "" && contentIdOf(one.contentId) === contentId);
    if (!part || !IMAGES.test(part.type) || part.size > MOST_IMAGE) return null;
    const url = URL.createObjectURL(new Blob([await this.content(part)], { type: part.type }));
    this.urls.push(url);
    return url;
  }

  close(): void {
    this.calls.close();
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls.length = 0;
  }
}
