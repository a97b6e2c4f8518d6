/** What is asked for a webhook: URL and types; and from when on events are to be posted again. */
import { useState } from "preact/hooks";
import { EVENT_TYPES, relay, type Webhook } from "../../api/relay";
import { Dialog } from "../../ui/dialog";
import { Button, TextField } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { kindOf } from "./events";

const HOUR = 3_600_000;

export function WebhookForm({ onDone }: { onDone: (secret: string | null) => void }) {
  const [url, setUrl] = useState("");
  const [types, setTypes] = useState<ReadonlySet<string>>(new Set());
  const { busy, error, submit } = useAction();
  const add = async () => {
    const { secret } = await relay.putWebhook(url.trim(), [...types]);
    setUrl("");
    setTypes(new Set());
    onDone(secret);
  };
  return (
    <form class="form" onSubmit={submit(add)}>
      <TextField
        label="URL"
        hint="https, at a host that can be reached from the internet"
        placeholder="https://example.org/hooks/mail"
        inputMode="url"
        autocomplete="off"
        maxLength={2000}
        value={url}
        error={error || undefined}
        onInput={(event) => setUrl(event.currentTarget.value)}
      />
      <TypeChoice chosen={types} onChange={setTypes} />
      <Button type="submit" look="primary" busy={busy} disabled={url.trim() === ""}>
        Add webhook
      </Button>
    </form>
  );
}

interface ChoiceProps {
  chosen: ReadonlySet<string>;
  onChange: (next: ReadonlySet<string>) => void;
}

function TypeChoice({ chosen, onChange }: ChoiceProps) {
  const toggle = (type: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(type);
    else next.delete(type);
    onChange(next);
  };
  return (
    <fieldset aria-describedby="types-hint">
      <legend>Events</legend>
      <p class="hint" id="types-hint">
        None chosen: all of them.
      </p>
      <div class="choices">
        {EVENT_TYPES.map((type) => (
          <label class="check" key={type}>
            <input
              type="checkbox"
              checked={chosen.has(type)}
              onChange={(event) => toggle(type, event.currentTarget.checked)}
            />
            <span>
              {kindOf(type).word} <small class="muted">{kindOf(type).meaning}</small>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface ReplayProps {
  hook: Webhook;
  onDone: (events: number) => void;
  onClose: () => void;
}

export function ReplayDialog({ hook, onDone, onClose }: ReplayProps) {
  const [since, setSince] = useState(localMinute(new Date(Date.now() - HOUR)));
  const { busy, error, submit } = useAction();
  const time = new Date(since);
  const replay = async () => onDone(await relay.replayWebhook(hook.id, time));
  return (
    <Dialog title="Post events again" onClose={onClose}>
      <form onSubmit={submit(replay)}>
        <p>
          What happened since then goes once more to <strong class="address">{hook.url}</strong>: the oldest 10,000 events
          at most, of the last 30 days.
        </p>
        <TextField
          label="Since"
          type="datetime-local"
          required
          max={localMinute(new Date())}
          value={since}
          error={error || undefined}
          onInput={(event) => setSince(event.currentTarget.value)}
        />
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy} disabled={Number.isNaN(time.getTime())}>
            Post again
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

/** As an input of type datetime-local wants it: by the clock of this browser, to the minute. */
export function localMinute(time: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day}T${two(time.getHours())}:${two(time.getMinutes())}`;
}
