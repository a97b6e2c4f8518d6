/** Invoices and credit notes: to save as PDF or JSON, and to pay. */
import { useState } from "preact/hooks";
import { billing as api, type Invoice } from "../../../api/billing";
import { serverNow } from "../../../api/http";
import { money } from "../../../lib/money";
import { dayOf, pay } from "../../../state/billing";
import { account } from "../../../state/session";
import { Button, Failure, Notice, Waiting } from "../../../ui/parts";
import { useAction } from "../../../ui/use-action";
import { useLoad } from "../../../ui/use-load";
import type { Billed } from "../billing";

const DAY_MS = 86_400_000;

export function InvoicesCard({ billed }: { billed: Billed }) {
  const { value, error, reload } = useLoad(() => api.invoices(null));
  const [more, setMore] = useState<Invoice[]>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const { busy, error: failed, run } = useAction();
  const cursor = next === undefined ? (value?.next ?? null) : next;
  const load = async () => {
    const page = await api.invoices(cursor);
    setMore([...more, ...page.rows]);
    setNext(page.next);
  };
  const rows = [...(value?.rows ?? []), ...more];
  return (
    <section class="card" aria-labelledby="invoices">
      <h2 id="invoices">Invoices</h2>
      {!value && (error ? <Failure error={error} retry={reload} /> : <Waiting />)}
      {value && rows.length === 0 && <p class="muted">None yet. They come on the first days of a month, for the month before.</p>}
      {failed && <Notice kind="error">{failed}</Notice>}
      {rows.length > 0 && (
        <ul class="items" aria-label="Invoices">
          {rows.map((invoice) => (
            <Row
              key={invoice.number}
              invoice={invoice}
              digits={billed.catalogue.digits}
              onPay={() => run(async () => billed.paying(await pay(account.value?.id ?? "", { invoice: invoice.number })))}
            />
          ))}
        </ul>
      )}
      {cursor && (
        <Button busy={busy} onClick={() => void run(load)}>
          Show older ones
        </Button>
      )}
    </section>
  );
}

function Row({ invoice, digits, onPay }: { invoice: Invoice; digits: number; onPay: () => Promise<boolean> }) {
  const [busy, setBusy] = useState(false);
  const { number, kind, state, currency } = invoice;
  const name = kind === "credit_note" ? `Credit note ${number}` : `Invoice ${number}`;
  const start = () => {
    setBusy(true);
    void onPay().finally(() => setBusy(false));
  };
  return (
    <li>
      <div>
        <strong>{name}</strong> <span class={`standing ${state === "open" ? "" : "good"}`}>{wordOf(invoice)}</span>
        <small class="muted">
          {dayOf(invoice.issued)} · {money(invoice.gross, currency, digits)}
          {invoice.tax !== 0 && `, ${money(invoice.tax, currency, digits)} of it tax`}
          {invoice.of && ` · for ${invoice.of}`}
        </small>
      </div>
      <div class="row">
        {state === "open" && kind === "invoice" && (
          <Button look="primary" busy={busy} aria-label={`Pay ${name}`} onClick={start}>
            Pay
          </Button>
        )}
        <a class="button plain" href={api.file(number, "pdf")} download target="_self" aria-label={`${name} as PDF`}>
          PDF
        </a>
        <a class="button plain" href={api.file(number, "json")} download target="_self" aria-label={`${name} as JSON`}>
          JSON
        </a>
      </div>
    </li>
  );
}

function wordOf({ kind, state, due }: Invoice): string {
  if (kind === "credit_note") return "In your favour";
  if (state === "paid") return "Paid";
  if (state === "credited") return "Taken back";
  if (!due) return "To pay";
  // Its last day belongs to it.
  return `${Date.parse(due) + DAY_MS <= serverNow().getTime() ? "Was due on" : "To pay until"} ${dayOf(due)}`;
}
