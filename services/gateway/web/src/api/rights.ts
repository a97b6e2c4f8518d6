/** The routes of rights (services/gateway/http/rights), and their shapes. */
import { ask } from "./http";

export interface Consent {
  given: boolean;
  changed: string | null;
}

export interface Erasure {
  asked: string;
  due: string;
  /** shown once, when it is asked for */
  receipt_token: string | null;
}

export interface PolicyNotice {
  version: number;
  noticed: string;
  answer: "" | "accepted" | "refused";
  effective: string | null;
  old_terms_until: string | null;
}

export interface Rights {
  consents: { newsletter: Consent; contact: Consent };
  contact: string;
  erasure: Erasure | null;
  notice: PolicyNotice | null;
  terms: number;
}

export interface ConcernEntry {
  by_staff: boolean;
  at: string;
  text: string;
}

export type About = "correction" | "deletion" | "processing" | "security" | "other";

export interface Concern {
  id: string;
  state: "open" | "answered" | "closed";
  about: About;
  opened: string;
  changed: string;
  entries: ConcernEntry[];
  address: string | null;
}

export interface Told {
  id: string;
  decided: string;
  told: string;
  legal_basis: string;
  since: string;
  until: string;
  data_classes: string[];
}

const enc = encodeURIComponent;

export const rights = {
  get: () => ask<Rights>("/v1/rights"),
  consents: (body: { newsletter?: boolean; contact?: boolean }) => ask<Rights>("/v1/rights/consents", { method: "PUT", body }),
  contact: (contact: string) => ask<Rights>("/v1/rights/contact", { method: "PUT", body: { contact } }),
  answer: (version: number, accept: boolean) =>
    ask<Rights>("/v1/rights/notice", { method: "POST", body: { version, accept } }),
  forgetPreferences: () => ask<void>("/v1/rights/preferences", { method: "DELETE" }),
  disclosures: async () => (await ask<{ disclosures: Told[] }>("/v1/rights/disclosures")).disclosures,
  erase: (current_authentication_key: string) =>
    ask<Erasure>("/v1/account/erasure", { method: "POST", body: { current_authentication_key } }),
  keep: () => ask<void>("/v1/account/erasure", { method: "DELETE" }),
};

/** Threads at one of both ends: the owner's, or those of everybody for staff. */
export function concernsAt(root: "/v1/concerns" | "/v1/operator/concerns") {
  return {
    list: async () => (await ask<{ concerns: Concern[] }>(root)).concerns,
    get: (id: string) => ask<Concern>(`${root}/${enc(id)}`),
    open: (about: About, text: string) => ask<Concern>(root, { method: "POST", body: { about, text } }),
    add: (id: string, text: string) => ask<Concern>(`${root}/${enc(id)}`, { method: "POST", body: { text } }),
    close: (id: string) => ask<Concern>(`${root}/${enc(id)}/close`, { method: "POST" }),
  };
}

export type Concerns = ReturnType<typeof concernsAt>;
