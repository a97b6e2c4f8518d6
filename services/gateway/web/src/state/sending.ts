/**
 * Sending one letter: a leg for each copy that is sealed, one for all who get it open, and at the end the writer's own copy.
 *
 * A leg keeps its id, so that one whose answer was lost can be tried again and arrives once. Legs that are done stay done:
 * what failed is told by name, and trying again goes on with the rest. It can be stopped: the leg under way breaks off, those
 * behind it are not begun.
 */
import { signal } from "@preact/signals";
import { ApiError, asSentence } from "../api/http";
import type { Sealed } from "../api/sending";
import type { Way } from "../api/upload";
import type { Bytes } from "../lib/encoding";
import { fromBase64 } from "../lib/encoding";
import { addressKey } from "../mail/address";
import { recipientsOf, type Letter } from "../mail/letter";
import type { Certificate } from "../workers/letters";
import type { Found } from "./recipients";

export type LegKind = "member" | "wkd" | "open" | "own";
export type LegState = "waiting" | "sealing" | "sending" | "done" | "failed";

export interface Leg {
  kind: LegKind;
  addresses: string[];
  state: LegState;
  /** of the upload, 0 to 1 */
  progress: number;
  error: string;
}

/** What sending needs of the world. */
export interface SendingPorts {
  now(): Date;
  sealLetter(letter: Letter, rcpt: string, certificate: Certificate): Promise<Sealed>;
  sealMime(letter: Letter, certificate: Certificate): Promise<Bytes>;
  writeOpen(letter: Letter): Promise<Bytes>;
  sealOwn(letter: Letter): Promise<Sealed>;
  toMember(to: string, id: string, sealed: Sealed, way: Way): Promise<void>;
  toWorld(from: string, recipients: string[], mail: Bytes, key: string, way: Way): Promise<void>;
  toOwn(id: string, sealed: Sealed, way: Way): Promise<void>;
}

interface Planned {
  key: string;
  leg: Leg;
  route: Found | null;
  id: string;
  madeAt: number;
}

/** The server takes ids of the last ten minutes. */
const ID_LIFE_MS = 8 * 60_000;

export class Sending {
  readonly legs = signal<Leg[]>([]);
  readonly running = signal(false);
  private planned: Planned[] = [];
  private stopper = new AbortController();

  constructor(
    private readonly ports: SendingPorts,
    private readonly letter: Letter,
    routes: ReadonlyMap<string, Found>,
    sentTo: string[],
  ) {
    this.planned = planOf(letter, routes, sentTo);
    this.show();
  }

  /** Sends what is not sent yet; whether all of it is, the own copy included. */
  async run(): Promise<boolean> {
    this.running.value = true;
    this.stopper = new AbortController();
    try {
      for (const one of this.planned) {
        if (this.stopper.signal.aborted) break;
        if (one.leg.state === "done" || (one.leg.kind === "own" && !this.complete)) continue;
        await this.attempt(one);
      }
    } finally {
      this.running.value = false;
    }
    return this.planned.every(({ leg }) => leg.state === "done");
  }

  /** Breaks off; `run` ends soon after, and can be called again. */
  stop(): void {
    this.stopper.abort();
  }

  /** Whether every recipient has got it. */
  get complete(): boolean {
    return this.planned.every(({ leg }) => leg.kind === "own" || leg.state === "done");
  }

  get sentTo(): string[] {
    return this.planned
      .filter(({ leg }) => leg.kind !== "own" && leg.state === "done")
      .flatMap(({ leg }) => leg.addresses);
  }

  private async attempt(one: Planned): Promise<void> {
    this.set(one, { state: "sealing", progress: 0, error: "" });
    try {
      await this.carry(one);
      this.set(one, { state: "done", progress: 1 });
    } catch (error) {
      this.set(one, { state: "failed", error: this.reasonOf(error, one.leg) });
    }
  }

  /** What was handed over whole before it was stopped may have got there; the same id keeps it from coming twice. */
  private reasonOf(error: unknown, leg: Leg): string {
    const stopped = error instanceof ApiError && error.reason === "stopped";
    return stopped && leg.progress === 1 ? "Stopped when all of it was handed over: it may be there." : asSentence(error);
  }

  private async carry(one: Planned): Promise<void> {
    const { ports, letter } = this;
    const [to = ""] = one.leg.addresses;
    const { signal: stop } = this.stopper;
    const way: Way = { progress: (sent, total) => this.set(one, { progress: total > 0 ? sent / total : 0 }), stop };
    const sending = () => {
      if (stop.aborted) throw new ApiError(0, "stopped", "Stopped.");
      this.set(one, { state: "sending" });
    };
    if (one.leg.kind === "member") {
      const sealed = await ports.sealLetter(letter, to, certificateOf(one.route, ""));
      sending();
      return ports.toMember(to, this.idOf(one), sealed, way);
    }
    if (one.leg.kind === "own") {
      const sealed = await ports.sealOwn(letter);
      sending();
      return ports.toOwn(this.idOf(one), sealed, way);
    }
    const mail =
      one.leg.kind === "wkd"
        ? await ports.sealMime(letter, certificateOf(one.route, to))
        : await ports.writeOpen(letter);
    sending();
    return ports.toWorld(letter.from.address, one.leg.addresses, mail, one.key, way);
  }

  /** The same id for as long as the server takes it: repeated, it changes nothing. */
  private idOf(one: Planned): string {
    const now = this.ports.now().getTime();
    if (one.id === "" || now - one.madeAt > ID_LIFE_MS) {
      one.id = newStoredId(now);
      one.madeAt = now;
    }
    return one.id;
  }

  private set(one: Planned, change: Partial<Leg>): void {
    one.leg = { ...one.leg, ...change };
    this.show();
  }

  private show(): void {
    this.legs.value = this.planned.map(({ leg }) => leg);
  }
}

/** Ten hexadecimal digits of Unix seconds, 22 random (libs.runtime.ids). */
export function newStoredId(now: number): string {
  const seconds = Math.floor(now / 1000)
    .toString(16)
    .padStart(10, "0");
  return seconds + randomHex(11);
}

function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

function planOf(letter: Letter, routes: ReadonlyMap<string, Found>, sentTo: string[]): Planned[] {
  const done = new Set(sentTo.map(addressKey));
  const open: string[] = [];
  const planned: Planned[] = [];
  for (const { address } of recipientsOf(letter)) {
    const route = routes.get(addressKey(address)) ?? null;
    const state = done.has(addressKey(address)) ? "done" : "waiting";
    const sealed = (route?.kind === "member" || route?.kind === "wkd") && route.certificate ? route.kind : null;
    if (sealed) planned.push(plan(sealed, [address], route, state));
    else if (state === "done") planned.push(plan("open", [address], route, state));
    else open.push(address);
  }
  if (open.length > 0) planned.push(plan("open", open, null, "waiting"));
  return [...planned, plan("own", [letter.from.address], null, "waiting")];
}

function plan(kind: LegKind, addresses: string[], route: Found | null, state: LegState): Planned {
  const leg: Leg = { kind, addresses, state, progress: state === "done" ? 1 : 0, error: "" };
  return { key: randomHex(16), leg, route, id: "", madeAt: 0 };
}

function certificateOf(route: Found | null, names: string): Certificate {
  return { binary: fromBase64(route?.certificate ?? ""), fingerprint: route?.fingerprint ?? "", names };
}
