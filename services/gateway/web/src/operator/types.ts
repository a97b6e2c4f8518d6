/** The shapes of the operators' API (docs/architecture.md, "HTTP API"); times are RFC 3339 UTC. */

export interface Cut {
  name: string;
  title: string;
  dimensions: string[];
  window: "hour" | "day";
  epsilon: number;
  delta: number;
}

export interface Metric {
  name: string;
  title: string;
  help: string;
  /** "ip", "account" or "recipient" */
  unit: string;
  /** "count" or "distinct" */
  kind: string;
  per_unit: number;
  dimensions: { name: string; values: string[] }[];
  cuts: Cut[];
}

export interface Cell {
  values: string[];
  key: string | null;
  value: number;
}

export interface Release {
  start: string;
  end: string;
  released: string;
  epsilon: number;
  delta: number;
  /** cells below are left out; 0 where every cell is shown */
  threshold: number;
  scale: number;
  half_width: number;
  cells: Cell[];
}

export interface Missing {
  start: string;
  end: string;
  reason: string;
}

export interface Statistics {
  metric: string;
  cut: string;
  dimensions: string[];
  window: "hour" | "day";
  releases: Release[];
  missing: Missing[];
}

export interface Debit {
  metric: string;
  cut: string;
  epsilon: number;
  delta: number;
}

export interface BudgetDay {
  day: string;
  epsilon_spent: number;
  epsilon_limit: number;
  delta_spent: number;
  delta_limit: number;
  debits: Debit[];
}

export interface AuditEntry {
  at: string;
  account_id: string;
  address: string;
  what: string;
  metric: string;
  cut: string;
  from: string | null;
  until: string | null;
}

export interface AuditPage {
  entries: AuditEntry[];
  next_before: string | null;
}

export interface Holders {
  most: number;
  holders: { account_id: string; address: string; since: string | null }[];
}

export interface Series {
  name: string;
  unit: string;
  values: (number | null)[];
}

export interface ServiceHealth {
  service: string;
  up: number;
  expected: number;
  series: Series[];
}

export interface Health {
  times: string[];
  services: ServiceHealth[];
}
