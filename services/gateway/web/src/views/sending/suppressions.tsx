/** Whom this account does not write to. Addresses are not kept, only what they can be recognised by. */
import { useState } from "preact/hooks";
import { relay, type Suppression } from "../../api/relay";
import { isAddress } from "../../mail/address";
import { toast } from "../../state/toast";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { Badge } from "./records";

const REASONS: Record<string, { word: string; icon: "warning" | "junk" | "signOut" | "pencil"; tone: string }> = {
  bounced: { word: "Bounced", icon: "warning", tone: "bad" },
  complained: { word: "Complained", icon: "junk", tone: "bad" },
  unsubscribed: { word: "Unsubscribed", icon: "signOut", tone: "" },
  manual: { word: "Put here by you", icon: "pencil", tone: "" },
};

export function SuppressionsSection() {
  const [changes, changed] = useState(0);
  return (
    <>
      <section class="card">
        <p>
          Mail to these addresses is held back, whatever program sends it. They come here by bouncing, by complaining, by
          unsubscribing, or by your hand.
        </p>
        <Notice kind="info">
          Addresses are not kept: only a keyed hash of each. So the list below cannot tell whose entry is whose; look an
          address up to find its entry.
        </Notice>
        <LookUp onChanged={() => changed((n) => n + 1)} />
      </section>
      <section class="card">
        <h2>All entries, newest first</h2>
        <List key={changes} />
      </section>
    </>
  );
}

interface Found {
  address: string;
  entry: Suppression | null;
}

function LookUp({ onChanged }: { onChanged: () => void }) {
  const [address, setAddress] = useState("");
  const [found, setFound] = useState<Found | null>(null);
  const { busy, error, run, submit } = useAction();
  const asked = address.trim();
  const look = async () => {
    setFound(null);
    setFound({ address: asked, entry: await relay.findSuppression(asked) });
  };
  return (
    <>
      <form class="form inline" onSubmit={submit(look)}>
        <TextField
          label="Address"
          type="email"
          inputMode="email"
          autocomplete="off"
          maxLength={320}
          value={address}
          error={error || undefined}
          onInput={(event) => setAddress(event.currentTarget.value)}
        />
        <Button type="submit" look="primary" icon="search" busy={busy} disabled={!isAddress(asked)}>
          Look up
        </Button>
      </form>
      <div role="status">
        {found && (
          <Answer
            found={found}
            change={(work) =>
              void run(async () => {
                setFound({ address: found.address, entry: await work() });
                onChanged();
              })
            }
          />
        )}
      </div>
    </>
  );
}

function Answer({ found, change }: { found: Found; change: (work: () => Promise<Suppression | null>) => void }) {
  const { address, entry } = found;
  if (!entry) {
    return (
      <Notice kind="good">
        <strong class="address">{address}</strong> is not on the list.
        <div class="row">
          <Button icon="plus" onClick={() => change(() => relay.addSuppression(address))}>
            Put it on the list
          </Button>
        </div>
      </Notice>
    );
  }
  return (
    <Notice kind="warning">
      <strong class="address">{address}</strong> is on the list since {day(entry)}: {reasonOf(entry).word.toLowerCase()}.
      <div class="row">
        <Button icon="trash" onClick={() => change(() => relay.dropSuppression(entry.id).then(() => null))}>
          Take it off
        </Button>
      </div>
    </Notice>
  );
}

function List() {
  const [older, setOlder] = useState<Suppression[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [gone, setGone] = useState<ReadonlySet<string>>(new Set());
  const first = useLoad(async () => {
    const page = await relay.suppressions(null);
    setOlder([]);
    setCursor(page.next_cursor);
    return page.suppressions;
  });
  const { busy, error, run } = useAction();
  const more = () =>
    run(async () => {
      const page = await relay.suppressions(cursor);
      setOlder([...older, ...page.suppressions]);
      setCursor(page.next_cursor);
    });
  const remove = (entry: Suppression) =>
    run(async () => {
      await relay.dropSuppression(entry.id);
      setGone(new Set([...gone, entry.id]));
      toast("Entry removed");
    });
  if (first.error) return <Failure error={first.error} retry={first.reload} />;
  if (!first.value) return <Waiting />;
  const entries = [...first.value, ...older].filter(({ id }) => !gone.has(id));
  return (
    <>
      {error && <Notice kind="error">{error}</Notice>}
      {entries.length === 0 ? <p class="muted">The list is empty.</p> : <Entries entries={entries} onRemove={(one) => void remove(one)} />}
      {cursor && (
        <Button busy={busy} onClick={() => void more()}>
          Show more
        </Button>
      )}
    </>
  );
}

function Entries({ entries, onRemove }: { entries: Suppression[]; onRemove: (entry: Suppression) => void }) {
  return (
    <ul class="items" aria-label="Entries">
      {entries.map((entry) => (
        <li key={entry.id}>
          <div>
            <Badge {...reasonOf(entry)} />
            <small class="muted">
              {day(entry)} · <span class="mono">{entry.id.slice(0, 8)}…</span>
            </small>
          </div>
          <Button look="quiet" icon="trash" aria-label={`Remove the entry ${entry.id.slice(0, 8)}`} onClick={() => onRemove(entry)}>
            Remove
          </Button>
        </li>
      ))}
    </ul>
  );
}

const reasonOf = ({ reason }: Suppression) => REASONS[reason] ?? { word: reason, icon: "warning" as const, tone: "" };
/** Entries have a day and no time; it is a day of UTC. */
const day = ({ created }: Suppression) => new Date(created).toLocaleDateString([], { dateStyle: "medium", timeZone: "UTC" });
