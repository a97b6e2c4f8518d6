/** The routes of billing (services/gateway/http/billing), and their shapes. Amounts are whole minor units. */
import { ask } from "./http";

export interface Allowance {
  meter: string;
  title: string;
  per: "day" | "month" | "level";
  /** null: no limit */
  included: number | null;
  unit: string;
  tiers: { above: number; price: number; per_units: number }[];
}

export interface Plan {
  name: string;
  title: string;
  help: string;
  price: number;
  trial_days: number;
  allowances: Allowance[];
}

export interface Catalogue {
  version: number;
  currency: string;
  digits: number;
  provider: "manual" | "stripe";
  credit_packs: number[];
  plans: Plan[];
}

export interface Standing {
  plan: string;
  state: "free" | "trial" | "active" | "grace" | "read_only";
  state_until: string | null;
  next_plan: string | null;
  next_plan_at: string | null;
  used: { allowance: Allowance; used: number }[];
  credits: number;
  credits_held: number;
  due: number;
  due_at: string | null;
  accruing: number;
  /** what becomes worse by a price change that is announced */
  coming: { plan: string; since: string; changes: string[] }[];
}

export interface DayUsage {
  /** a day of UTC, "2026-11-23" */
  day: string;
  units: Record<string, number>;
}

export interface Details {
  name: string;
  address_lines: string[];
  country: string;
  vat_id: string;
}

export interface Invoice {
  number: string;
  kind: "invoice" | "credit_note";
  issued: string;
  due: string | null;
  net: number;
  tax: number;
  gross: number;
  currency: string;
  state: "open" | "paid" | "credited";
  of: string | null;
}

export interface Entry {
  at: string;
  kind: string;
  credits: number;
  held: number;
  due: number;
  reference: string;
}

export interface Payment {
  id: string;
  state: "waiting" | "paid" | "failed" | "refunded" | "reversal_asked" | "reversed" | "disputed";
  amount: number;
  currency: string;
  purpose: string;
  /** the number of the invoice, the name of the plan */
  what: string;
  reference: string;
  instructions: string;
  url: string | null;
  created: string;
}

export type What = { credits: number } | { invoice: string } | { plan: string };

export interface Page<T> {
  rows: T[];
  next: string | null;
}

const ROOT = "/v1/billing";
const enc = encodeURIComponent;
const from = (cursor: string | null) => (cursor ? `?cursor=${enc(cursor)}` : "");

export const billing = {
  catalogue: () => ask<Catalogue>(`${ROOT}/catalogue`),
  standing: () => ask<Standing>(`${ROOT}/standing`),
  change: (plan: string) => ask<Standing>(`${ROOT}/plan`, { method: "PUT", body: { plan } }),
  cancel: () => ask<Standing>(`${ROOT}/plan`, { method: "DELETE" }),
  usage: async (first: string, last: string) =>
    (await ask<{ days: DayUsage[] }>(`${ROOT}/usage?from=${enc(first)}&until=${enc(last)}`)).days,
  details: () => ask<Details>(`${ROOT}/details`),
  putDetails: (details: Details) => ask<Details>(`${ROOT}/details`, { method: "PUT", body: details }),
  invoices: async (cursor: string | null): Promise<Page<Invoice>> => {
    const found = await ask<{ invoices: Invoice[]; next_cursor: string | null }>(`${ROOT}/invoices${from(cursor)}`);
    return { rows: found.invoices, next: found.next_cursor };
  },
  file: (number: string, format: "pdf" | "json") => `${ROOT}/invoices/${enc(number)}?format=${format}`,
  entries: async (cursor: string | null): Promise<Page<Entry>> => {
    const found = await ask<{ entries: Entry[]; next_cursor: string | null }>(`${ROOT}/entries${from(cursor)}`);
    return { rows: found.entries, next: found.next_cursor };
  },
  pay: (request_id: string, what: What) =>
    ask<Payment>(`${ROOT}/payments`, { method: "POST", body: { request_id, ...what } }),
  payment: (id: string) => ask<Payment>(`${ROOT}/payments/${enc(id)}`),
  portal: async () => (await ask<{ url: string }>(`${ROOT}/portal`, { method: "POST" })).url,
};
