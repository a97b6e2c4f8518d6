/** A concern as a thread, at either end: what was written, and a field to write more. */
import { useState } from "preact/hooks";
import type { Concern, Concerns } from "../api/rights";
import { longTime } from "../lib/format";
import { Button, Notice } from "./parts";
import { TextArea } from "./text-area";
import { useAction } from "./use-action";

export const ABOUT: Record<Concern["about"], string> = {
  correction: "Something is wrong",
  deletion: "Something should be deleted",
  processing: "How data are used",
  security: "Security",
  other: "Something else",
};

export const STATE: Record<Concern["state"], string> = {
  open: "Waits for an answer",
  answered: "Answered",
  closed: "Closed",
};

interface Props {
  concern: Concern;
  staff?: boolean;
  at: Concerns;
  onChange: (changed: Concern) => void;
}

export function Thread({ concern, staff = false, at, onChange }: Props) {
  const [text, setText] = useState("");
  const { busy, error, run, submit } = useAction();
  const send = async () => {
    onChange(await at.add(concern.id, text.trim()));
    setText("");
  };
  return (
    <div class="thread">
      <ol>
        {concern.entries.map((entry, i) => (
          <li key={i} class={entry.by_staff === staff ? "mine" : ""}>
            <p class="muted">
              {entry.by_staff ? "Operator" : staff ? concern.address || "An account that is gone" : "You"} ·{" "}
              {longTime(new Date(entry.at))}
            </p>
            <p class="said">{entry.text}</p>
          </li>
        ))}
      </ol>
      {error && <Notice kind="error">{error}</Notice>}
      {concern.state !== "closed" && (
        <form class="form" onSubmit={submit(send)}>
          <TextArea label={staff ? "Answer" : "Write more"} value={text} onInput={setText} most={5000} />
          <div class="row">
            <Button type="submit" look="primary" busy={busy} disabled={!text.trim()}>
              Send
            </Button>
            <Button busy={busy} onClick={() => void run(async () => onChange(await at.close(concern.id)))}>
              Settled, close it
            </Button>
          </div>
        </form>
      )}
    </div>
  );
}
