/** Invoices that are not paid, the longest due first. */
import { useState } from "preact/hooks";
import { money } from "../lib/money";
import { Button, Notice } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { books, type OpenInvoice } from "./billing-api";
import { Answer, Card } from "./parts";
import { useAsk } from "./use-ask";
import { span, utcDay } from "./words";

const DAY_MS = 86_400_000;

export function OpenInvoices({ turn }: { turn: number }) {
  const asked = useAsk(() => books.invoices(null), `invoices ${turn}`);
  const [more, setMore] = useState<{ turn: number; rows: OpenInvoice[]; next: string | null } | null>(null);
  const { busy, error, run } = useAction();
  return (
    <Card title="Open invoices">
      {error && <Notice kind="error">{error}</Notice>}
      <Answer asked={asked}>
        {(first) => {
          const later = more?.turn === turn ? more : null;
          const rows = [...first.rows, ...(later?.rows ?? [])];
          const next = later ? later.next : first.next;
          const load = async () => {
            const page = await books.invoices(next);
            setMore({ turn, rows: [...(later?.rows ?? []), ...page.rows], next: page.next });
          };
          if (rows.length === 0) return <p class="muted">All invoices are paid.</p>;
          return (
            <>
              <Table rows={rows} />
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

function Table({ rows }: { rows: OpenInvoice[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Table of open invoices">
      <table class="figures">
        <caption class="visually-hidden">Open invoices</caption>
        <thead>
          <tr>
            <th scope="col">Invoice</th>
            <th scope="col">Due</th>
            <th scope="col" class="gross">
              Amount
            </th>
            <th scope="col">Open</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ invoice, open }) => (
            <tr key={invoice.number}>
              <th scope="row" class="mono">
                {invoice.number}
              </th>
              <td>
                {invoice.due ? utcDay(invoice.due) : ""} <Late due={invoice.due} />
              </td>
              <td class="gross">{money(invoice.gross, invoice.currency)}</td>
              <td>{money(open, invoice.currency)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Late({ due }: { due: string | null }) {
  const over = due ? Date.now() - Date.parse(due) - DAY_MS : 0;
  return over > 0 ? <span class="badge warning">{span(over / 1000)} late</span> : null;
}
