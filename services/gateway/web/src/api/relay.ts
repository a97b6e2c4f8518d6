/** The routes of those who send by program (services/gateway/http/relay_models.py), and their shapes. */
import { ask } from "./http";

export interface SendingState {
  sent_today: number;
  limit_today: number;
  /** recipients that one mail can have */
  limit_per_mail: number;
  paused: boolean;
  /** "bounces", "complaints", "operator"; empty when not paused */
  reason: string;
  bounced_per_mille: number;
  complained_per_mille: number;
}

export const EVENT_TYPES = [
  "delivered",
  "deferred",
  "bounced",
  "complained",
  "suppressed",
  "unsubscribed",
  "expired",
  "cancelled",
] as const;

export interface DeliveryEvent {
  id: string;
  type: string;
  at: string;
  submission_id: string;
  campaign: string;
  recipient: string;
  status: string;
}

export interface Submission {
  id: string;
  submitted: string;
  send_at: string | null;
  campaign: string;
  recipients: { address: string; state: string; attempts: number; next_attempt: string | null; status: string }[];
}

export type RecordState = "unchecked" | "ok" | "missing" | "wrong" | "unreachable";

export interface DnsRecord {
  name: string;
  type: string;
  value: string;
  purpose: string;
  required: boolean;
  state: RecordState;
}

export interface SenderDomain {
  domain: string;
  verified: boolean;
  records: DnsRecord[];
  checked: string | null;
}

export interface Webhook {
  id: string;
  url: string;
  types: string[];
  state: "ok" | "failing" | "off";
  created: string;
}

export interface Suppression {
  id: string;
  reason: string;
  created: string;
}

export interface Suppressions {
  suppressions: Suppression[];
  next_cursor: string | null;
}

/** What a campaign counts. */
export interface Measuring {
  opens: boolean;
  clicks: boolean;
}

/** A released number; the true one is within half_width of it with a probability of 95 %. */
export interface Count {
  value: number;
  half_width: number;
}

export interface ResponseDay {
  day: string;
  /** "released" without a number: too few to say */
  state: "released" | "open" | "budget" | "lost";
  opens: Count | null;
  clicks: Count | null;
}

export interface Responses {
  measuring: Measuring;
  days: ResponseDay[];
  opens: (Count & { days: number }) | null;
  clicks: (Count & { days: number }) | null;
  noise: string;
}

const EVENTS = 200;
const ENTRIES = 50;
// Longer than the server takes for a look at the DNS.
const LOOK_MS = 70_000;
const enc = encodeURIComponent;
const after = (cursor: string | null) => (cursor ? `&cursor=${enc(cursor)}` : "");

export const relay = {
  sending: () => ask<SendingState>("/v1/sending"),
  events: (cursor: string | null) =>
    ask<{ events: DeliveryEvent[]; next_cursor: string | null }>(`/v1/send/events?limit=${EVENTS}${after(cursor)}`),
  submission: (id: string) => ask<Submission>(`/v1/send/${enc(id)}`),
  cancel: (id: string) => ask<Submission>(`/v1/send/${enc(id)}`, { method: "DELETE" }),
  stopCampaign: async (campaign: string) =>
    (await ask<{ stopped: number }>(`/v1/campaigns/${enc(campaign)}/stop`, { method: "POST", timeout: LOOK_MS })).stopped,
  measure: (campaign: string, measuring: Measuring) =>
    ask<Measuring>(`/v1/campaigns/${enc(campaign)}/measuring`, { method: "PUT", body: { ...measuring } }),
  responses: (campaign: string) => ask<Responses>(`/v1/campaigns/${enc(campaign)}/responses`),

  domains: async () => (await ask<{ domains: SenderDomain[] }>("/v1/sender-domains")).domains,
  addDomain: (domain: string) =>
    ask<SenderDomain>("/v1/sender-domains", { method: "POST", body: { domain }, timeout: LOOK_MS }),
  checkDomain: (domain: string) =>
    ask<SenderDomain>(`/v1/sender-domains/${enc(domain)}/check`, { method: "POST", timeout: LOOK_MS }),
  dropDomain: (domain: string) => ask<void>(`/v1/sender-domains/${enc(domain)}`, { method: "DELETE", timeout: LOOK_MS }),

  webhooks: async () => (await ask<{ webhooks: Webhook[] }>("/v1/webhooks")).webhooks,
  /** With an id: that webhook with this URL and these types, switched on. */
  putWebhook: (url: string, types: string[], id?: string) =>
    ask<{ webhook: Webhook; secret: string | null }>("/v1/webhooks", {
      method: "POST",
      body: { url, types, ...(id ? { id } : {}) },
    }),
  dropWebhook: (id: string) => ask<void>(`/v1/webhooks/${enc(id)}`, { method: "DELETE" }),
  replayWebhook: async (id: string, since: Date) =>
    (
      await ask<{ events: number }>(`/v1/webhooks/${enc(id)}/replay`, {
        method: "POST",
        body: { since: since.toISOString() },
        timeout: LOOK_MS,
      })
    ).events,

  suppressions: (cursor: string | null) => ask<Suppressions>(`/v1/suppressions?limit=${ENTRIES}${after(cursor)}`),
  findSuppression: async (address: string) =>
    (await ask<Suppressions>(`/v1/suppressions?address=${enc(address)}`)).suppressions[0] ?? null,
  addSuppression: (address: string) => ask<Suppression>("/v1/suppressions", { method: "POST", body: { address } }),
  dropSuppression: (id: string) => ask<void>(`/v1/suppressions/${enc(id)}`, { method: "DELETE" }),

  ownDomains: async () => (await ask<{ domains: SenderDomain[] }>("/v1/operator/dns", { timeout: LOOK_MS })).domains,
  resume: (address: string) => ask<SendingState>("/v1/operator/resume", { method: "POST", body: { address } }),
};
