/** Who pays, as an invoice names him. */
import { useId, useState } from "preact/hooks";
import { billing as api, type Details } from "../../../api/billing";
import { countries } from "../../../lib/countries";
import { toast } from "../../../state/toast";
import { Button, Failure, Notice, TextField, Waiting } from "../../../ui/parts";
import { TextArea } from "../../../ui/text-area";
import { useAction } from "../../../ui/use-action";
import { useLoad } from "../../../ui/use-load";

const MOST_LINES = 6;
const LONGEST = 120;

export function DetailsCard() {
  const { value, error, reload, set } = useLoad(api.details);
  return (
    <section class="card" aria-labelledby="who-pays">
      <h2 id="who-pays">Who pays</h2>
      <p class="muted">What the law wants on an invoice, and nothing else. Kept sealed; invoices from now on bear it.</p>
      {value ? <Form key={JSON.stringify(value)} details={value} onSaved={set} /> : error ? <Failure error={error} retry={reload} /> : <Waiting />}
    </section>
  );
}

function Form({ details, onSaved }: { details: Details; onSaved: (details: Details) => void }) {
  const [name, setName] = useState(details.name);
  const [address, setAddress] = useState(details.address_lines.join("\n"));
  const [country, setCountry] = useState(details.country);
  const [vat, setVat] = useState(details.vat_id);
  const { busy, error, submit } = useAction();
  const lines = address
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const save = async () => {
    onSaved(await api.putDetails({ name: name.trim(), address_lines: lines, country, vat_id: vat.trim() }));
    toast("Saved");
  };
  return (
    <form class="form" onSubmit={submit(save)}>
      {error && <Notice kind="error">{error}</Notice>}
      <TextField label="Name or company" autocomplete="billing name" maxLength={LONGEST} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      <TextArea
        label="Address"
        hint={lines.length > MOST_LINES ? `At most ${MOST_LINES} lines` : "Street, postal code and town, each on its line"}
        most={MOST_LINES * LONGEST}
        value={address}
        onInput={setAddress}
      />
      <Country value={country} onChange={setCountry} />
      <TextField label="VAT number" hint="Of businesses in the European Union, where there is one" autocomplete="off" maxLength={20} value={vat} onInput={(event) => setVat(event.currentTarget.value)} />
      <Button type="submit" look="primary" busy={busy} disabled={lines.length > MOST_LINES}>
        Save
      </Button>
    </form>
  );
}

function Country({ value, onChange }: { value: string; onChange: (code: string) => void }) {
  const id = useId();
  const [all] = useState(() => countries());
  return (
    <div class="field">
      <label for={id}>Country</label>
      <div class="input select">
        <select id={id} autocomplete="billing country" value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          <option value="">Not told</option>
          {all.map(([code, name]) => (
            <option key={code} value={code}>
              {name}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}
