/** The form that opens a case: what the order says, no more than the policy allows. */
import { useState } from "preact/hooks";
import { toast } from "../state/toast";
import { Button, Notice, TextField } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { Card, Select } from "./parts";
import { disclosure, type PolicyDocument } from "./rights-api";

const DAY_MS = 86_400_000;

interface Form {
  reference: string;
  basis: string;
  address: string;
  /** days, as the browser writes them; the last one is part of the period */
  first: string;
  last: string;
  classes: string[];
  secret: string;
}

export function NewCase({ text, onOpened }: { text: PolicyDocument; onOpened: () => void }) {
  const bases = Object.entries(text.disclosure?.legal_bases ?? {});
  const given = Object.entries(text.classes ?? {}).filter(([, one]) => one.disclosure !== "none");
  const empty: Form = { reference: "", basis: bases[0]?.[0] ?? "", address: "", first: "", last: "", classes: [], secret: "" };
  const [form, setForm] = useState(empty);
  const { busy, error, submit } = useAction();
  const put = (change: Partial<Form>) => setForm((known) => ({ ...known, ...change }));
  const open = async () => {
    await disclosure.open(orderOf(form));
    setForm(empty);
    toast("The case is open. Another officer has to approve it.");
    onOpened();
  };
  const whole = form.reference.trim() && form.address.trim() && form.first && form.last && form.classes.length > 0;
  const toggle = (name: string) =>
    put({ classes: form.classes.includes(name) ? form.classes.filter((one) => one !== name) : [...form.classes, name] });
  return (
    <Card title="Open a case">
      <form class="form case-form" onSubmit={submit(open)}>
        <TextField
          label="Reference of the order"
          required
          maxLength={200}
          autocomplete="off"
          value={form.reference}
          onInput={(event) => put({ reference: event.currentTarget.value })}
        />
        <Select label="Legal basis" value={form.basis} options={bases} onChange={(basis) => put({ basis })} />
        <TextField
          label="Address of the account"
          required
          autocomplete="off"
          inputMode="email"
          value={form.address}
          onInput={(event) => put({ address: event.currentTarget.value })}
        />
        <div class="two">
          <DayField label="From" value={form.first} onInput={(first) => put({ first })} />
          <DayField label="Until, this day included" value={form.last} onInput={(last) => put({ last })} />
        </div>
        <fieldset class="field">
          <legend>What the order covers</legend>
          {given.map(([name, one]) => (
            <label class="check" key={name}>
              <input type="checkbox" checked={form.classes.includes(name)} onChange={() => toggle(name)} />
              <span>
                {one.title} <small class="muted">{one.disclosure === "sealed" ? "as stored, sealed" : "address, kind and day of creation"}</small>
              </span>
            </label>
          ))}
        </fieldset>
        <DayField
          label="The order forbids to tell the user until"
          hint="Leave empty if it does not: the user is then told with the decision."
          value={form.secret}
          optional
          onInput={(secret) => put({ secret })}
        />
        {error && <Notice kind="error">{error}</Notice>}
        <Button type="submit" look="primary" busy={busy} disabled={!whole}>
          Open the case
        </Button>
      </form>
    </Card>
  );
}

interface DayProps {
  label: string;
  hint?: string;
  value: string;
  optional?: boolean;
  onInput: (day: string) => void;
}

function DayField({ label, hint, value, optional = false, onInput }: DayProps) {
  return (
    <TextField label={label} hint={hint} type="date" required={!optional} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
  );
}

/** Days are those of UTC. */
export function orderOf(form: Form) {
  const start = (day: string) => Date.parse(`${day}T00:00:00Z`);
  const time = (ms: number) => new Date(ms).toISOString();
  return {
    order_reference: form.reference.trim(),
    legal_basis: form.basis,
    address: form.address.trim().toLowerCase(),
    since: time(start(form.first)),
    until: time(start(form.last) + DAY_MS),
    data_classes: form.classes,
    secret_until: form.secret ? time(start(form.secret)) : null,
  };
}
