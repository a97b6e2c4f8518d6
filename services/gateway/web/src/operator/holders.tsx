/** Who sees statistics: as few as the settings allow, given and taken here, effective with their next request. */
import { useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { toast } from "../state/toast";
import { Confirm } from "../ui/dialog";
import { Button, Notice, TextField } from "../ui/parts";
import { completeAddress } from "../ui/sign-in-form";
import { useAction } from "../ui/use-action";
import { operator } from "./api";
import { Answer, Card } from "./parts";
import { resume } from "./staff";
import type { Holders } from "./types";
import { useAsk } from "./use-ask";
import { utcDay } from "./words";

export function HoldersSection() {
  const asked = useAsk(operator.holders, "holders");
  return <Answer asked={asked}>{(found) => <Shown found={found} onChange={asked.set} />}</Answer>;
}

function Shown({ found, onChange }: { found: Holders; onChange: (found: Holders) => void }) {
  const [leaving, setLeaving] = useState<Holders["holders"][number] | null>(null);
  const changed = (next: Holders) => {
    onChange(next);
    // One's own roles may be among them.
    void resume();
  };
  const revoke = async (id: string) => {
    try {
      changed(await operator.revoke(id));
      toast("The role is taken back");
    } catch (error) {
      toast(asSentence(error), { kind: "error" });
    }
  };
  return (
    <>
      <Card title={`${found.holders.length} of at most ${found.most} holders`} aside={<Places found={found} />}>
        {found.holders.length === 0 ? (
          <p class="muted">Nobody sees statistics yet.</p>
        ) : (
          <ul class="items">
            {found.holders.map((holder) => (
              <li key={holder.account_id}>
                <span>
                  <strong class="address">{holder.address || "An account that is closed"}</strong>
                  <small class="muted">{holder.since ? `since ${utcDay(holder.since)}` : "since an unknown day"}</small>
                </span>
                <Button class="small" onClick={() => setLeaving(holder)}>
                  Take the role
                </Button>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Give full={found.holders.length >= found.most} onGiven={changed} />
      {leaving && (
        <Confirm
          title="Take the role?"
          action="Take the role"
          danger
          onConfirm={() => void revoke(leaving.account_id)}
          onClose={() => setLeaving(null)}
        >
          <p>
            <span class="address">{leaving.address || "The closed account"}</span> will see no statistics from the next request
            on.
          </p>
        </Confirm>
      )}
    </>
  );
}

function Places({ found }: { found: Holders }) {
  return (
    <span class="places" aria-hidden="true">
      {Array.from({ length: Math.min(found.most, 20) }, (_, i) => (
        <i key={i} class={i < found.holders.length ? "taken" : ""} />
      ))}
    </span>
  );
}

function Give({ full, onGiven }: { full: boolean; onGiven: (found: Holders) => void }) {
  const [address, setAddress] = useState("");
  const { busy, error, submit } = useAction();
  const give = async () => {
    onGiven(await operator.grant(completeAddress(address)));
    setAddress("");
    toast("The role is given");
  };
  return (
    <Card title="Let somebody see statistics">
      {full && <Notice kind="info">As many people see statistics as the settings allow.</Notice>}
      <form class="form inline" onSubmit={submit(give)}>
        <TextField
          label="Address of the account"
          autocomplete="off"
          inputMode="email"
          value={address}
          disabled={full}
          onInput={(event) => setAddress(event.currentTarget.value)}
        />
        <Button type="submit" look="primary" busy={busy} disabled={full || address.trim() === ""}>
          Give the role
        </Button>
      </form>
      {error && <Notice kind="error">{error}</Notice>}
      <p class="hint">Both are written in the audit, with your name.</p>
    </Card>
  );
}
