/** Attachments: listed with name, type and size; saved as unknown data under a safe name; never opened inside the page. */
import { useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { bytes } from "../lib/format";
import { saveBytes } from "../lib/download";
import type { Part } from "../mail/decode";
import { runsWhenOpened, safeFileName } from "../mail/filename";
import type { OpenedMail } from "../mail/opened";
import { contentIdOf } from "../mail/sanitize";
import { toast } from "../state/toast";
import { Icon } from "./icon";

/** `embedded`: the names of images that the message itself shows; they need no entry of their own. */
export function Attachments({ mail, embedded }: { mail: OpenedMail; embedded: ReadonlySet<string> }) {
  const parts = mail.view.parts.filter((part) => !embedded.has(contentIdOf(part.contentId)) || part.contentId === "");
  if (parts.length === 0) return null;
  return (
    <section class="attachments" aria-label="Attachments">
      <h2>{parts.length === 1 ? "1 attachment" : `${parts.length} attachments`}</h2>
      <ul>
        {parts.slice(0, 200).map((part) => (
          <AttachmentRow key={part.index} part={part} mail={mail} />
        ))}
      </ul>
    </section>
  );
}

function AttachmentRow({ part, mail }: { part: Part; mail: OpenedMail }) {
  const [busy, setBusy] = useState(false);
  const name = safeFileName(part.name || (part.type === "message/rfc822" ? "message.eml" : "attachment"));
  const save = async () => {
    setBusy(true);
    try {
      saveBytes(await mail.content(part), name);
    } catch (error) {
      toast(asSentence(error), { kind: "error" });
    } finally {
      setBusy(false);
    }
  };
  return (
    <li>
      <button type="button" class="attachment" disabled={busy} onClick={() => void save()} title={`Save ${name}`}>
        <Icon name={part.type.startsWith("image/") ? "image" : "paperclip"} />
        <span class="attachment-name">
          <bdi>{name}</bdi>
          <small>
            {bytes(part.size)} · {part.type.slice(0, 80)}
          </small>
          {runsWhenOpened(name) && <small class="danger-text">This kind of file can run programs</small>}
        </span>
        {busy ? <span class="spinner" /> : <Icon name="download" size={18} />}
      </button>
    </li>
  );
}
