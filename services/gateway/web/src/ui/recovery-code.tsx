/**
 * Making a recovery code: shown once, to be copied or printed, and in force only after its last group has been typed back,
 * so that nobody believes in a code that was never kept.
 */
import { useMemo, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { newRecoveryCode } from "../crypto/recovery";
import { copy } from "./copy";
import { Button, Notice, TextField } from "./parts";

interface Props {
  address: string;
  save: (code: string) => Promise<void>;
  onDone: () => void;
  onSkip: () => void;
  skipLabel: string;
}

export function RecoveryCode({ address, save, onDone, onSkip, skipLabel }: Props) {
  const code = useMemo(newRecoveryCode, []);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const last = code.slice(-4);
  const confirmed = typed.trim().toUpperCase() === last;
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await save(code);
      onDone();
    } catch (failure) {
      setError(asSentence(failure));
      setBusy(false);
    }
  };
  return (
    <form class="form" onSubmit={(event) => void submit(event)}>
      <p>
        Whoever has this code can open your mailbox and set a new password. It is shown this once and is stored nowhere:
        keep it on paper or in a password manager.
      </p>
      <CodeBox address={address} code={code} />
      {error && <Notice kind="error">{error}</Notice>}
      <TextField
        label="To confirm that you have it, type the last four characters"
        name="confirm"
        autocomplete="off"
        maxLength={4}
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
      <div class="row">
        <Button type="submit" look="primary" busy={busy} disabled={!confirmed}>
          I have kept it
        </Button>
        <Button look="quiet" disabled={busy} onClick={onSkip}>
          {skipLabel}
        </Button>
      </div>
    </form>
  );
}

function CodeBox({ address, code }: { address: string; code: string }) {
  return (
    <div class="code-box">
      <p class="code" data-testid="recovery-code" aria-label="Recovery code">
        {code.split("-").map((group, i) => (
          <span key={i}>{group}</span>
        ))}
      </p>
      <p class="print-only">Recovery code of {address}, sealpost</p>
      <div class="row">
        <Button icon="copy" onClick={() => void copy(code)}>
          Copy
        </Button>
        <Button icon="print" onClick={() => print()}>
          Print
        </Button>
      </div>
    </div>
  );
}
