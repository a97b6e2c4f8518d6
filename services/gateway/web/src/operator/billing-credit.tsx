/** Takes an invoice back, in part or whole, by a credit note. */
import { useState } from "preact/hooks";
import { minorUnits, money } from "../lib/money";
import { requestId } from "../state/billing";
import { toast } from "../state/toast";
import { Confirm } from "../ui/dialog";
import { Button, Notice, TextField } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { books } from "./billing-api";
import { Card } from "./parts";

const DIGITS = 2;

export function CreditInvoice({ onCredited }: { onCredited: () => void }) {
  const [number, setNumber] = useState("");
  const [amount, setAmount] = useState("");
  const [asking, setAsking] = useState(false);
  // Another note than the one before, though number and amount may be the same.
  const [turn, setTurn] = useState(() => Date.now());
  const { busy, error, run } = useAction();
  const units = minorUnits(amount, DIGITS);
  const wrong = amount.trim() !== "" && !units;
  const credit = () =>
    run(async () => {
      const id = await requestId(`credit/${number.trim()}/${units ?? 0}/${turn}`);
      const invoice = await books.credit(number.trim(), id, units);
      setNumber("");
      setAmount("");
      setTurn(Date.now());
      toast(`${units ? money(units, invoice.currency) : "All that was left"} of ${invoice.number} taken back`);
      onCredited();
    });
  return (
    <Card title="Take an invoice back">
      <p class="muted">By a credit note, which is issued within minutes. What was paid of the invoice becomes credits.</p>
      {error && <Notice kind="error">{error}</Notice>}
      <form
        class="form record"
        onSubmit={(event) => {
          event.preventDefault();
          setAsking(true);
        }}
      >
        <TextField
          label="Invoice"
          hint="Its number, like 2026-000001"
          autocomplete="off"
          required
          maxLength={20}
          value={number}
          onInput={(event) => setNumber(event.currentTarget.value)}
        />
        <TextField
          label="Amount to take back"
          hint="Empty: all that is left"
          autocomplete="off"
          inputMode="decimal"
          value={amount}
          error={wrong ? "An amount like 11.90" : undefined}
          onInput={(event) => setAmount(event.currentTarget.value)}
        />
        <Button type="submit" busy={busy} disabled={!number.trim() || wrong}>
          Take it back
        </Button>
      </form>
      {asking && (
        <Confirm title="Take this invoice back?" action="Issue a credit note" danger onConfirm={() => void credit()} onClose={() => setAsking(false)}>
          <p>
            {units ? amount.trim() : "All that is left"} of {number.trim()}. A credit note cannot be undone; another invoice would be
            needed.
          </p>
        </Confirm>
      )}
    </Card>
  );
}
