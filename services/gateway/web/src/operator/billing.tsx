/** Billing for operators: transfers to record, payments to take back by two people, open invoices, reconciliations. */
import { useState } from "preact/hooks";
import type { Payment } from "../api/billing";
import { ApiError, asSentence } from "../api/http";
import { digitsOf, minorUnits, money, plainAmount } from "../lib/money";
import { toast } from "../state/toast";
import { Confirm } from "../ui/dialog";
import { Button, Notice, TextField } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { CreditInvoice } from "./billing-credit";
import { OpenInvoices } from "./billing-invoices";
import { Reconciliations } from "./billing-reconciliations";
import { books, type PaymentState } from "./billing-api";
import { Answer, Card } from "./parts";
import { useAsk } from "./use-ask";
import { moment, title } from "./words";

const EVERY_MS = 60_000;

export function BillingSection() {
  // A change of one list changes the others.
  const [turn, setTurn] = useState(0);
  const [filled, setFilled] = useState<Payment | null>(null);
  const changed = () => setTurn((n) => n + 1);
  return (
    <>
      <p class="lead muted">
        Payments are found by their reference, invoices by their number. Who pays is not shown here.
      </p>
      <Record key={filled?.id ?? ""} filled={filled} onRecorded={changed} />
      <Payments state="waiting" turn={turn} onTake={setFilled} onChange={changed} />
      <Payments state="reversal_asked" turn={turn} onChange={changed} />
      <Payments state="paid" turn={turn} onChange={changed} />
      <OpenInvoices turn={turn} />
      <CreditInvoice onCredited={changed} />
      <Reconciliations />
    </>
  );
}

function Record({ filled, onRecorded }: { filled: Payment | null; onRecorded: () => void }) {
  const digits = filled ? digitsOf(filled.currency) : 2;
  const [reference, setReference] = useState(filled?.reference ?? "");
  const [amount, setAmount] = useState("");
  const { busy, error, submit } = useAction();
  const units = minorUnits(amount, digits);
  const record = async () => {
    const paid = await books.record(reference.trim(), units ?? 0);
    setReference("");
    setAmount("");
    toast(`${money(paid.amount, paid.currency)} recorded`);
    onRecorded();
  };
  return (
    <Card title="Record a transfer">
      <p class="muted">As the statement of the bank has it. Another amount than the one asked for is refused.</p>
      {error && <Notice kind="error">{error}</Notice>}
      <form class="form record" onSubmit={submit(record)}>
        <TextField
          label="Reference"
          hint="Of a payment, or the number of an invoice"
          autocomplete="off"
          required
          maxLength={64}
          value={reference}
          onInput={(event) => setReference(event.currentTarget.value)}
        />
        <TextField
          label={`Amount${filled ? ` in ${filled.currency}` : ""}`}
          autocomplete="off"
          inputMode="decimal"
          required
          placeholder={plainAmount(0, digits)}
          value={amount}
          error={amount !== "" && units === null ? "An amount like 11.90" : undefined}
          onInput={(event) => setAmount(event.currentTarget.value)}
        />
        <Button type="submit" look="primary" busy={busy} disabled={!reference.trim() || !units}>
          Record it
        </Button>
      </form>
    </Card>
  );
}

const WORDS: Record<PaymentState, { title: string; none: string}> = {
  waiting: { title: "Waiting for a transfer", none: "Nothing is waited for." },
  reversal_asked: { title: "To be taken back", none: "Nobody has asked for a payment to be taken back." },
  paid: { title: "Recorded", none: "Nothing was recorded yet." },
};

interface PaymentsProps {
  state: PaymentState;
  turn: number;
  onTake?: (payment: Payment) => void;
  onChange: () => void;
}

function Payments({ state, turn, onTake, onChange }: PaymentsProps) {
  const asked = useAsk(() => books.payments(state, null), `payments ${state} ${turn}`, EVERY_MS);
  const [more, setMore] = useState<{ turn: number; rows: Payment[]; next: string | null } | null>(null);
  const { busy, error, run } = useAction();
  const { title: name, none } = WORDS[state];
  return (
    <Card title={name}>
      {state === "reversal_asked" && <p class="muted">One operator asks, another one carries it out.</p>}
      {error && <Notice kind="error">{error}</Notice>}
      <Answer asked={asked}>
        {(first) => {
          const later = more?.turn === turn ? more : null;
          const rows = [...first.rows, ...(later?.rows ?? [])];
          const next = later ? later.next : first.next;
          const load = async () => {
            const page = await books.payments(state, next);
            setMore({ turn, rows: [...(later?.rows ?? []), ...page.rows], next: page.next });
          };
          return (
            <>
              {rows.length === 0 && <p class="muted">{none}</p>}
              {rows.length > 0 && (
                <ul class="items" aria-label={name}>
                  {rows.map((payment) => (
                    <Row key={payment.id} payment={payment} {...(onTake ? { onTake } : {})} onChange={onChange} />
                  ))}
                </ul>
              )}
              {next && (
                <Button class="small" busy={busy} onClick={() => void run(load)}>
                  Show more
                </Button>
              )}
            </>
          );
        }}
      </Answer>
    </Card>
  );
}

function Row({ payment, onTake, onChange }: { payment: Payment; onTake?: (payment: Payment) => void; onChange: () => void }) {
  const { id, amount, currency, created, state, url } = payment;
  // A transfer may be recorded by the number of an invoice alone.
  const reference = payment.reference || payment.what || id.slice(0, 8);
  return (
    <li>
      <div>
        <strong class="mono">{reference}</strong>
        <small class="muted">
          {purposeWords(payment)} · asked for {moment(created)}
        </small>
      </div>
      <div class="row">
        <strong class="number">{money(amount, currency)}</strong>
        {state === "waiting" && onTake && (
          <Button class="small" aria-label={`It has come: ${reference}`} onClick={() => onTake(payment)}>
            It has come
          </Button>
        )}
        {state === "paid" && !url && <TakeBack id={id} reference={reference} onChange={onChange} />}
        {state === "reversal_asked" && <ConfirmBack id={id} reference={reference} amount={money(amount, currency)} onChange={onChange} />}
      </div>
    </li>
  );
}

const purposeWords = ({ purpose, what }: Payment) => `${title(purpose)} ${what}`.trim();

interface BackProps {
  id: string;
  reference: string;
  onChange: () => void;
}

function TakeBack({ id, reference, onChange }: BackProps) {
  const { busy, run } = useAction();
  const ask = () =>
    run(async () => {
      await told(() => books.askReversal(id), "Asked. Another operator has to confirm it.");
      onChange();
    });
  return (
    <Button class="small" busy={busy} aria-label={`Ask to take it back: ${reference}`} onClick={() => void ask()}>
      Ask to take it back
    </Button>
  );
}

function ConfirmBack({ id, reference, amount, onChange }: BackProps & { amount: string }) {
  const [asking, setAsking] = useState(false);
  const { busy, run } = useAction();
  const confirm = () =>
    run(async () => {
      await told(() => books.confirmReversal(id), "Taken back");
      onChange();
    });
  return (
    <>
      <Button class="small" look="danger" busy={busy} aria-label={`Confirm for ${reference}`} onClick={() => setAsking(true)}>
        Confirm
      </Button>
      {asking && (
        <Confirm title="Take this payment back?" action="Take it back" danger onConfirm={() => void confirm()} onClose={() => setAsking(false)}>
          <p>
            {amount} of {reference} count as not paid from now on. Credits that it bought are gone, and an invoice that it paid
            is open again. The money itself goes back by the bank, not by this page.
          </p>
        </Confirm>
      )}
    </>
  );
}

async function told(work: () => Promise<unknown>, done: string): Promise<void> {
  try {
    await work();
    toast(done);
  } catch (failure) {
    const same = failure instanceof ApiError && failure.reason === "same_officer";
    toast(same ? "You have asked for it; another operator has to confirm it." : asSentence(failure), { kind: "error" });
  }
}
