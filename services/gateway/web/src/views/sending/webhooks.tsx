/** Webhooks: where events are posted to; the secret is shown once. */
import { useState } from "preact/hooks";
import { relay, type Webhook } from "../../api/relay";
import { asSentence } from "../../api/http";
import { plural } from "../../lib/format";
import { toast } from "../../state/toast";
import { SecretDialog } from "../../ui/copyable";
import { Confirm } from "../../ui/dialog";
import type { IconName } from "../../ui/icon";
import { Button, Failure, Notice, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { kindOf } from "./events";
import { Badge } from "./records";
import { ReplayDialog, WebhookForm } from "./webhook-form";

const STATES: Record<Webhook["state"], { word: string; icon: IconName; tone: string }> = {
  ok: { word: "OK", icon: "check", tone: "good" },
  failing: { word: "Failing, tried again", icon: "warning", tone: "warn" },
  off: { word: "Switched off", icon: "close", tone: "bad" },
};

export function WebhooksSection() {
  const { value: hooks, error, reload } = useLoad(relay.webhooks);
  const [secret, setSecret] = useState("");
  const made = (shown: string | null) => {
    setSecret(shown ?? "");
    reload();
  };
  return (
    <>
      <section class="card">
        <p>
          Each event is posted as JSON to a URL of yours, signed as <strong>Standard Webhooks</strong> has it. What fails
          is tried again for three days; the same event may come twice, with the same <code>webhook-id</code>.
        </p>
        {error ? <Failure error={error} retry={reload} /> : !hooks ? <Waiting /> : <List hooks={hooks} onChanged={reload} />}
      </section>
      <section class="card">
        <h2>Add a webhook</h2>
        <WebhookForm onDone={made} />
      </section>
      {secret && (
        <SecretDialog title="The secret of your webhook" secret={secret} onClose={() => setSecret("")}>
          <p>With it, your program checks that a post is from here: keep it beside the program.</p>
        </SecretDialog>
      )}
    </>
  );
}

function List({ hooks, onChanged }: { hooks: Webhook[]; onChanged: () => void }) {
  if (hooks.length === 0) return <p class="muted">None yet.</p>;
  return (
    <ul class="items" aria-label="Webhooks">
      {hooks.map((hook) => (
        <Row key={hook.id} hook={hook} onChanged={onChanged} />
      ))}
    </ul>
  );
}

function Row({ hook, onChanged }: { hook: Webhook; onChanged: () => void }) {
  const [open, setOpen] = useState<"" | "replay" | "delete">("");
  const { busy, error, run } = useAction();
  const switchOn = () =>
    run(async () => {
      await relay.putWebhook(hook.url, hook.types, hook.id);
      onChanged();
    });
  return (
    <li class="hook">
      <div>
        <strong class="address">{hook.url}</strong>
        <small class="muted">
          {hook.types.length === 0 ? "All events" : hook.types.map((type) => kindOf(type).word).join(", ")} · since{" "}
          {new Date(hook.created).toLocaleDateString()}
        </small>
        <Badge {...STATES[hook.state]} />
      </div>
      {error && <Notice kind="error">{error}</Notice>}
      <div class="row">
        {hook.state === "off" && (
          <Button icon="refresh" busy={busy} onClick={() => void switchOn()}>
            Switch on
          </Button>
        )}
        <Button look="quiet" icon="forward" onClick={() => setOpen("replay")}>
          Post again
        </Button>
        <Button look="quiet" icon="trash" onClick={() => setOpen("delete")}>
          Delete
        </Button>
      </div>
      {open && <Asking what={open} hook={hook} onChanged={onChanged} onClose={() => setOpen("")} />}
    </li>
  );
}

interface AskingProps {
  what: "replay" | "delete";
  hook: Webhook;
  onChanged: () => void;
  onClose: () => void;
}

function Asking({ what, hook, onChanged, onClose }: AskingProps) {
  const remove = () => {
    relay
      .dropWebhook(hook.id)
      .then(() => toast("Webhook deleted"))
      .catch((failure: unknown) => toast(asSentence(failure), { kind: "error" }))
      .finally(onChanged);
  };
  const replayed = (events: number) => {
    toast(`${plural(events, "event")} posted again`);
    onClose();
    onChanged();
  };
  if (what === "replay") return <ReplayDialog hook={hook} onDone={replayed} onClose={onClose} />;
  return (
    <Confirm title="Delete this webhook?" action="Delete" danger onConfirm={remove} onClose={onClose}>
      <p>
        <strong class="address">{hook.url}</strong> is told nothing more, and its secret is gone.
      </p>
    </Confirm>
  );
}
