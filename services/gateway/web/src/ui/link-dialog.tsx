/** Before a link of a mail is opened: where it really goes, in the letters that cannot be imitated, and what is odd about it. */
import { parseAddresses } from "../mail/address";
import { plainLine } from "../mail/envelope";
import { MARK_TEXT, type Target } from "../mail/links";
import { session } from "../state/session";
import { copy } from "./copy";
import { Dialog } from "./dialog";
import { Button, Notice } from "./parts";

const SHOWN = 600;

export const linkQuestion = (target: Target) => (target.kind === "mail" ? "Write to this address?" : "Open this link?");

export function LinkDialog({ target, onClose }: { target: Target; onClose: () => void }) {
  return (
    <Dialog title={linkQuestion(target)} onClose={onClose}>
      <LinkFacts target={target} />
      <footer>
        <Button icon="copy" onClick={() => void copy(target.url)}>
          Copy
        </Button>
        <Button onClick={onClose}>Cancel</Button>
        {target.kind === "mail" && session.value.kind === "open" ? (
          <Button look="primary" icon="pencil" onClick={() => void writeTo(target.url, onClose)}>
            Write
          </Button>
        ) : (
          <OpenLink target={target} newTab onClick={() => setTimeout(onClose)} />
        )}
      </footer>
    </Dialog>
  );
}

/** Of what a mailto: link may say, recipients and subject alone: the rest is the user's to write. */
async function writeTo(url: string, onClose: () => void): Promise<void> {
  const { write } = await import("../state/write");
  const { pathname, searchParams } = new URL(url);
  onClose();
  await write({
    to: parseAddresses(decoded(pathname)),
    subject: plainLine(searchParams.get("subject") ?? "").slice(0, 500),
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where the link goes and what is odd about it. */
export function LinkFacts({ target }: { target: Target }) {
  return (
    <>
      <p class="link-host" data-testid="link-host">
        {target.host}
      </p>
      {target.unicodeHost && (
        <p class="hint">
          In its own letters: <bdi>{target.unicodeHost}</bdi>
        </p>
      )}
      {target.marks.map((mark) => (
        <Notice key={mark} kind={mark === "port" ? "info" : "warning"}>
          {MARK_TEXT[mark]}
        </Notice>
      ))}
      <p class="link-url">{target.url.length > SHOWN ? target.url.slice(0, SHOWN) + "…" : target.url}</p>
    </>
  );
}

interface OpenProps {
  target: Target;
  newTab?: boolean;
  onClick?: () => void;
}

export function OpenLink({ target, newTab = false, onClick }: OpenProps) {
  const dangerous = target.marks.some((mark) => mark !== "port");
  const words = target.kind === "mail" ? "Open mail program" : newTab ? "Open in a new tab" : "Open it";
  return (
    <a
      class={`button ${dangerous ? "danger" : "primary"}`}
      href={target.url}
      target={newTab ? "_blank" : undefined}
      rel="noopener noreferrer nofollow"
      onClick={onClick}
    >
      {dangerous ? "Open anyway" : words}
    </a>
  );
}
