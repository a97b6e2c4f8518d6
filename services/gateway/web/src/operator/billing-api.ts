/** What operators ask of billing, and its shapes. */
import type { Invoice, Page, Payment } from "../api/billing";
import { ask } from "../api/http";

export interface OpenInvoice {
  invoice: Invoice;
  /** what is left to pay */
  open: number;
}

export interface Reconciliation {
  /** of UTC */
  day: string;
  meter: string;
  counted: number;
  owned: number;
  late: number;
}

export type PaymentState = "waiting" | "paid" | "reversal_asked";

const ROOT = "/v1/operator/billing";
const enc = encodeURIComponent;
const after = (cursor: string | null) => (cursor ? `&cursor=${enc(cursor)}` : "");

export const books = {
  payments: async (state: PaymentState, cursor: string | null): Promise<Page<Payment>> => {
    const found = await ask<{ payments: Payment[]; next_cursor: string | null }>(
      `${ROOT}/payments?state=${state}${after(cursor)}`,
    );
    return { rows: found.payments, next: found.next_cursor };
  },
  record: (reference: string, amount: number) => ask<Payment>(`${ROOT}/payments`, { method: "POST", body: { reference, amount } }),
  askReversal: (id: string) => ask<Payment>(`${ROOT}/payments/${enc(id)}/reversal`, { method: "POST" }),
  confirmReversal: (id: string) => ask<Payment>(`${ROOT}/payments/${enc(id)}/reversal/confirm`, { method: "POST" }),
  invoices: async (cursor: string | null): Promise<Page<OpenInvoice>> => {
    const found = await ask<{ invoices: OpenInvoice[]; next_cursor: string | null }>(`${ROOT}/invoices?limit=50${after(cursor)}`);
    return { rows: found.invoices, next: found.next_cursor };
  },
  /** `amount` null: all that is left of it */
  credit: (number: string, request_id: string, amount: number | null) =>
    ask<Invoice>(`${ROOT}/invoices/${enc(number)}/credit`, { method: "POST", body: { request_id, ...(amount ? { amount } : {}) } }),
  reconciliations: async (days: number) =>
    (await ask<{ reconciliations: Reconciliation[] }>(`${ROOT}/reconciliations?days=${days}`)).reconciliations,
};
