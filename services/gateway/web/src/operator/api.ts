/** Every route of the operators' API, once. */
import { ask } from "../api/http";
import type { AuditPage, BudgetDay, Health, Holders, Metric, Statistics } from "./types";

const ROOT = "/v1/operator";
const enc = encodeURIComponent;

export interface Range {
  from: Date;
  until: Date;
}

function place(metric: string, cut: string, { from, until }: Range): string {
  return `${ROOT}/statistics/${enc(metric)}/${enc(cut)}?from=${rfc3339(from)}&until=${rfc3339(until)}`;
}

const rfc3339 = (time: Date) => enc(time.toISOString().replace(/\.\d+Z$/, "Z"));

export const operator = {
  metrics: async () => (await ask<{ metrics: Metric[] }>(`${ROOT}/statistics`)).metrics,
  releases: (metric: string, cut: string, range: Range) => ask<Statistics>(place(metric, cut, range)),
  csv: (metric: string, cut: string, range: Range) => `${place(metric, cut, range)}&format=csv`,
  budget: async (days: number) => (await ask<{ days: BudgetDay[] }>(`${ROOT}/budget?days=${days}`)).days,
  health: () => ask<Health>(`${ROOT}/health`),
  audit: (before: string | null) => ask<AuditPage>(`${ROOT}/audit${before ? `?before=${enc(before)}` : ""}`),
  holders: () => ask<Holders>(`${ROOT}/holders`),
  grant: (address: string) => ask<Holders>(`${ROOT}/holders`, { method: "POST", body: { address } }),
  revoke: (id: string) => ask<Holders>(`${ROOT}/holders/${enc(id)}`, { method: "DELETE" }),
};
