/** What operators and officers ask of the policy, of retention and of disclosure, and its shapes. */
import { ask } from "../api/http";

export interface Change {
  kind: string;
  subject: string;
  material: boolean;
  before: string;
  after: string;
  profiles: string[];
}

export interface Version {
  version: number;
  state: "proposed" | "announced" | "active" | "replaced" | "withdrawn";
  replaces: number | null;
  material: boolean;
  changes: Change[];
  proposed: string | null;
  announced: string | null;
  earliest: string | null;
  activated: string | null;
  noticed: number;
  refused: number;
}

export interface ClassState {
  data_class: string;
  count: number;
  at_least: boolean;
  first_due: string | null;
  last_sweep: string | null;
  /** seconds */
  overdue: number;
}

export interface Sweep {
  service: string;
  data_class: string;
  at: string | null;
  deleted: number;
  fault: string | null;
}

export interface Probe {
  clause: string;
  result: "pass" | "fail" | "unknown" | "pending";
  at: string | null;
  since: string | null;
  detail: string;
}

export interface Canary {
  data_class: string;
  planted: string | null;
  due: string | null;
  state: "waiting" | "gone" | "missed" | "failed";
  checked: string | null;
}

export interface Retention {
  clock_held: boolean;
  /** seconds, either way */
  clock_moved: number;
  erasures_waiting: number;
  erasures_running: number;
  replaying: boolean;
  /** seconds since all classes were swept */
  last_round: number;
  version: number;
  sweeps: Sweep[];
  classes: ClassState[];
  probes: Probe[];
  canaries: Canary[];
}

export interface Case {
  id: string;
  state: "open" | "approved" | "exported" | "refused" | "closed" | "lapsed";
  order_reference: string;
  legal_basis: string;
  address: string;
  since: string;
  until: string;
  data_classes: string[];
  secret_until: string | null;
  opened: string;
  decided: string | null;
  exported: string | null;
  told: string | null;
  opened_by_me: boolean;
  archive_sha256: string | null;
  archive_size: number | null;
  refusal: string | null;
}

export type Order = Pick<Case, "order_reference" | "legal_basis" | "address" | "since" | "until" | "data_classes" | "secret_until">;

/** The policy in force, as far as it is needed here. */
export interface PolicyDocument {
  classes: Record<string, { title: string; service: string; disclosure: string; retention: { rules: Record<string, number>; text: string } }>;
  clauses: { id: string; title: string }[];
  disclosure: { legal_bases: Record<string, string> };
}

const enc = encodeURIComponent;
const ALL_PROBES_MS = 130_000;

export const policy = {
  versions: async () => (await ask<{ versions: Version[] }>("/v1/operator/policy/versions")).versions,
  step: (version: number, step: "announce" | "activate" | "withdraw") =>
    ask<Version>(`/v1/operator/policy/versions/${version}/${step}`, { method: "POST" }),
  document: async () => (await ask<{ document: PolicyDocument }>("/.well-known/sealpost-policy.json")).document,
};

export const retention = {
  state: () => ask<Retention>("/v1/operator/retention"),
  confirmClock: () => ask<Retention>("/v1/operator/retention/clock", { method: "POST" }),
  look: (clause: string) =>
    ask<Retention>("/v1/operator/retention/probes", { method: "POST", body: { clause }, timeout: ALL_PROBES_MS }),
};

const CASES = "/v1/disclosure/cases";

export const disclosure = {
  list: async () => (await ask<{ cases: Case[] }>(CASES)).cases,
  open: (order: Order) => ask<Case>(CASES, { method: "POST", body: order }),
  approve: (id: string) => ask<Case>(`${CASES}/${enc(id)}/approve`, { method: "POST" }),
  refuse: (id: string, reason: string) => ask<Case>(`${CASES}/${enc(id)}/refuse`, { method: "POST", body: { reason } }),
  close: (id: string) => ask<Case>(`${CASES}/${enc(id)}/close`, { method: "POST" }),
  archive: (id: string) => `${CASES}/${enc(id)}/archive`,
};
