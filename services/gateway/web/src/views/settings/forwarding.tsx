/** Copies of incoming mail to other addresses; says plainly that they leave sealed storage open. */
import { useState } from "preact/hooks";
import { forwarding as api, type Forward } from "../../api/forwarding";
import { asSentence } from "../../api/http";
import { addForward, MOST, refuse, standing } from "../../state/forwarding";
import { account } from "../../state/session";
import { toast } from "../../state/toast";
import { Confirm } from "../../ui/dialog";
import { Button, Failure, Notice, PasswordField, TextField, Waiting, Working } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";

const LOOK = { good: "standing good", waiting: "standing", off: "standing" } as const;

export function ForwardingSection() {
  const { value: forwards, error, reload, set } = useLoad(api.list);
  const [dropping, setDropping] = useState<Forward | null>(null);
  const drop = (one: Forward) => {
    api
      .drop(one.id)
      .then(() => toast(one.state === "active" ? "No more copies go there" : "Taken out"))
      .catch((failure: unknown) => toast(asSentence(failure), { kind: "error" }))
      .finally(reload);
  };
  return (
    <>
      <section class="card">
        <Notice kind="warning">
          <strong>Copies leave sealed storage open.</strong> They go on as they came, by ordinary mail. Whoever runs the
          other mailbox can read them; they are no longer private.
        </Notice>
        <p>
          A copy of each mail that comes in from outside also goes to these addresses. What other members send you stays
          here. Your own copy is kept here in any case, sealed to you. If the other mailbox sends a copy back, the sender of
          the mail gets that and may learn the address.
        </p>
        {error ? (
          <Failure error={error} retry={reload} />
        ) : !forwards ? (
          <Waiting />
        ) : (
          <ForwardList all={forwards} onDrop={(one) => (one.state === "active" ? setDropping(one) : drop(one))} />
        )}
      </section>
      {forwards && forwards.length < MOST && (
        <section class="card">
          <h2>Add an address</h2>
          <NewForward known={forwards} onAdded={(added) => set([...forwards, added])} />
        </section>
      )}
      {dropping && (
        <Confirm
          title="Stop forwarding?"
          action="Stop"
          danger
          onConfirm={() => drop(dropping)}
          onClose={() => setDropping(null)}
        >
          <p>
            Nothing more goes to <strong>{dropping.address}</strong>. What is on its way may still arrive there.
          </p>
        </Confirm>
      )}
    </>
  );
}

function ForwardList({ all, onDrop }: { all: Forward[]; onDrop: (one: Forward) => void }) {
  if (all.length === 0) return <p class="muted">Nothing is forwarded.</p>;
  return (
    <ul class="items" aria-label="Addresses that get copies">
      {all.map((one) => {
        const { tone, badge, words } = standing(one, Date.now());
        return (
          <li key={one.id}>
            <div>
              <strong class="address">{one.address}</strong> <span class={LOOK[tone]}>{badge}</span>
              <small class="muted">{words}</small>
            </div>
            <Button look="quiet" icon="close" aria-label={`${actionOn(one)} ${one.address}`} onClick={() => onDrop(one)}>
              {actionOn(one)}
            </Button>
          </li>
        );
      })}
    </ul>
  );
}

const actionOn = ({ state }: Forward) => (state === "active" ? "Stop" : "Take out");

function NewForward({ known, onAdded }: { known: Forward[]; onAdded: (added: Forward) => void }) {
  const [address, setAddress] = useState("");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState("");
  const { busy, error, run } = useAction("That is not your password.");
  const submit = async () => {
    const fault = refuse(address, account.value?.address ?? "", known);
    setWrong(fault);
    if (fault) return;
    await run(async () => {
      const added = await addForward(address.trim(), password);
      setAddress("");
      setPassword("");
      toast("Asked, by mail");
      onAdded(added);
    });
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void submit();
      }}
    >
      {error && <Notice kind="error">{error}</Notice>}
      <TextField
        label="Address"
        hint="It gets a mail with a link; copies begin once somebody there agrees, within 48 hours"
        type="email"
        autocomplete="off"
        required
        value={address}
        error={wrong || undefined}
        onInput={(event) => {
          setAddress(event.currentTarget.value);
          setWrong("");
        }}
      />
      <PasswordField
        label="Your password"
        name="password"
        autocomplete="current-password"
        required
        value={password}
        onInput={(event) => setPassword(event.currentTarget.value)}
      />
      {busy && <Working text="Stretching your password" />}
      <Button type="submit" look="primary" busy={busy} disabled={!address.trim() || !password}>
        Ask this address
      </Button>
    </form>
  );
}
