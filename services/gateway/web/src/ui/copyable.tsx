/** Text that is meant to be taken elsewhere: with a button that copies it; a secret is shown once. */
import type { ComponentChildren } from "preact";
import { copy } from "./copy";
import { Dialog } from "./dialog";
import { Icon } from "./icon";
import { Button, Notice } from "./parts";

/** @param what named to those who hear the button: "Copy <what>" */
export function CopyButton({ text, what }: { text: string; what: string }) {
  return (
    <button type="button" class="copy-button" aria-label={`Copy ${what}`} title={`Copy ${what}`} onClick={() => void copy(text)}>
      <Icon name="copy" size={17} />
      <span aria-hidden="true">Copy</span>
    </button>
  );
}

/** A value with its button, on one line where it fits. */
export function Copyable({ text, what }: { text: string; what: string }) {
  return (
    <span class="copyable">
      <code>{text}</code>
      <CopyButton text={text} what={what} />
    </span>
  );
}

/** Several lines, with their line ends. */
export function CopyBlock({ text, what }: { text: string; what: string }) {
  return (
    <div class="copy-block">
      <pre tabIndex={0} aria-label={what}>
        {text}
      </pre>
      <CopyButton text={text} what={what} />
    </div>
  );
}

interface SecretProps {
  title: string;
  secret: string;
  onClose: () => void;
  children?: ComponentChildren;
}

export function SecretDialog({ title, secret, onClose, children }: SecretProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <Notice kind="warning">It is shown this once. Copy it now.</Notice>
      <p class="secret mono" data-testid="secret">
        {secret}
      </p>
      {children}
      <footer>
        <Button icon="copy" onClick={() => void copy(secret)}>
          Copy
        </Button>
        <Button look="primary" onClick={onClose}>
          I have copied it
        </Button>
      </footer>
    </Dialog>
  );
}
