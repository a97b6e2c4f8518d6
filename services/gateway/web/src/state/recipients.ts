/**
 * How mail to somebody travels: asked of the server for many at once, a moment after the last address was typed, and kept for
 * some minutes. Before anything is sent it is asked again.
 */
import { signal } from "@preact/signals";
import { outbox } from "../api/sending";
import type { Recipient } from "../api/types";
import { addressKey, domainOf, isAddress } from "../mail/address";
import { info } from "./info";
import { onEnd } from "./session";

export type Found = Recipient & { at: number };
export type Route = Found | "looking" | "failed";

const GATHER_MS = 150;
const MOST_AT_ONCE = 50;
const FRESH_MS = 5 * 60_000;
const MOST_KEPT = 2_000;

export const routes = signal<ReadonlyMap<string, Route>>(new Map());

const wanted = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Asks for what is not known yet; the answer appears in `routes`. */
export function wantRoutes(addresses: string[]): void {
  for (const key of addresses.filter(isAddress).map(addressKey)) if (!isFresh(routes.value.get(key))) wanted.add(key);
  if (wanted.size === 0) return;
  put([...wanted].map((key) => [key, "looking"] as const).filter(([key]) => typeof routes.value.get(key) !== "object"));
  clearTimeout(timer);
  timer = setTimeout(() => {
    const keys = [...wanted];
    wanted.clear();
    void askFor(keys).catch(() => undefined);
  }, GATHER_MS);
}

/** Asks for all of them now, whatever is known. @throws ApiError */
export async function freshRoutes(addresses: string[]): Promise<ReadonlyMap<string, Found>> {
  const keys = [...new Set(addresses.map(addressKey))];
  await askFor(keys);
  const found = keys.map((key) => [key, routes.value.get(key)] as const);
  return new Map(found.filter((entry): entry is [string, Found] => typeof entry[1] === "object"));
}

/** Those at our own domains by themselves: the server knows them at once, and others only when directories elsewhere answer. */
async function askFor(keys: string[]): Promise<void> {
  const { member_domains = [], relay_domains = [], public_domains = [] } = info.value ?? {};
  const ours = new Set([...member_domains, ...relay_domains, ...public_domains]);
  const here = keys.filter((key) => ours.has(domainOf(key)));
  const elsewhere = keys.filter((key) => !ours.has(domainOf(key)));
  await Promise.all([askTogether(here), askTogether(elsewhere)]);
}

async function askTogether(keys: string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += MOST_AT_ONCE) {
    const part = keys.slice(at, at + MOST_AT_ONCE);
    try {
      const found = new Map((await outbox.recipients(part)).map((one) => [addressKey(one.address), one]));
      put(part.map((key) => [key, found.has(key) ? { ...found.get(key)!, at: Date.now() } : "failed"] as const));
    } catch (error) {
      put(part.map((key) => [key, "failed"] as const));
      throw error;
    }
  }
}

function isFresh(route: Route | undefined): boolean {
  return route === "looking" || (typeof route === "object" && Date.now() - route.at < FRESH_MS);
}

function put(entries: (readonly [string, Route])[]): void {
  if (entries.length === 0) return;
  const kept = routes.value.size + entries.length > MOST_KEPT ? [] : routes.value;
  routes.value = new Map([...kept, ...entries]);
}

onEnd(() => {
  clearTimeout(timer);
  wanted.clear();
  routes.value = new Map();
});
