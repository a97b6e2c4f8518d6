import { describe, expect, it } from "vitest";
import { ApiError } from "../src/api/http";
import type { Letter } from "../src/mail/letter";
import { newStoredId, Sending, type SendingPorts } from "../src/state/sending";
import type { Found } from "../src/state/recipients";

const people = (...names: string[]) => names.map((name) => ({ name: "", address: `${name}@x.example` }));
const letter = (change: Partial<Letter> = {}): Letter => ({
  from: { name: "", address: "me@x.example" },
  to: people("member", "open"),
  cc: people("wkd"),
  bcc: people("secret", "Open"),
  subject: "s",
  text: "t",
  enclosures: [],
  date: "2026-11-22T17:00:00Z",
  messageId: "<1@x.example>",
  inReplyTo: "",
  references: [],
  ...change,
});
const route = (name: string, kind: Found["kind"]): [string, Found] => [
  `${name}@x.example`,
  {
    address: `${name}@x.example`,
    kind,
    certificate: kind === "member" || kind === "wkd" ? "AAAA" : null,
    fingerprint: null,
    at: 0,
  },
];
const ROUTES = new Map([
  route("member", "member"),
  route("open", "open"),
  route("wkd", "wkd"),
  route("secret", "member"),
]);

/** Takes everything down, and fails where it is told to. */
class World implements SendingPorts {
  calls: string[] = [];
  ids: string[] = [];
  failing = new Set<string>();
  time = Date.parse("2026-11-22T17:00:00Z");
  now = () => new Date(this.time);
  sealLetter = async (_: Letter, rcpt: string) => this.sealed(`seal ${rcpt}`);
  sealOwn = async () => this.sealed("seal own");
  sealMime = async (_: Letter, certificate: { names: string }) => (
    this.calls.push(`mime ${certificate.names}`),
    new Uint8Array(1)
  );
  writeOpen = async () => (this.calls.push("write"), new Uint8Array(1));
  toMember = async (to: string, id: string) => this.take(`to ${to}`, id);
  toOwn = async (id: string) => this.take("own", id);
  toWorld: SendingPorts["toWorld"] = async (_, recipients, __, key) => this.take(`send ${recipients.join(" ")}`, key);

  private sealed(what: string) {
    this.calls.push(what);
    return { envelope: new Uint8Array(1), body: new Uint8Array(1) };
  }

  private take(what: string, id: string): void {
    this.calls.push(what);
    this.ids.push(`${what} ${id}`);
    if (this.failing.has(what)) throw new ApiError(503, "unavailable", "Later.");
  }
}

describe("sending", () => {
  it("seals a copy for each, sends the open ones together once, and keeps a copy last", async () => {
    const world = new World();
    expect(await new Sending(world, letter(), ROUTES, []).run()).toBe(true);
    expect(world.calls).toEqual([
      "seal member@x.example",
      "to member@x.example",
      "mime wkd@x.example",
      "send wkd@x.example",
      "seal secret@x.example",
      "to secret@x.example",
      "write",
      "send open@x.example",
      "seal own",
      "own",
    ]);
  });

  it("tells what failed, keeps no copy of what not everybody got, and tries the rest again under the same ids", async () => {
    const world = new World();
    const sending = new Sending(world, letter(), ROUTES, []);
    world.failing = new Set(["to secret@x.example", "send open@x.example"]);
    expect(await sending.run()).toBe(false);
    expect(sending.legs.value.map(({ state }) => state)).toEqual(["done", "done", "failed", "failed", "waiting"]);
    expect(sending.legs.value[2]?.error).toBe("Later.");
    expect(sending.sentTo).toEqual(["member@x.example", "wkd@x.example"]);
    world.failing.clear();
    world.calls = [];
    expect(await sending.run()).toBe(true);
    expect(world.calls).toEqual([
      "seal secret@x.example",
      "to secret@x.example",
      "write",
      "send open@x.example",
      "seal own",
      "own",
    ]);
    const ids = world.ids.filter((one) => /secret|open/.test(one));
    expect(new Set(ids).size).toBe(2);
  });

  it("stops: what is under way breaks off, what is behind it is not begun, and the rest can be sent later", async () => {
    const world = new World();
    const sending = new Sending(world, letter(), ROUTES, []);
    let handed = 0.5;
    world.toWorld = (_, __, ___, ____, { progress, stop }) =>
      new Promise((_, reject) => {
        progress(handed, 1);
        stop?.addEventListener("abort", () => reject(new ApiError(0, "stopped", "Stopped.")));
        sending.stop();
      });
    expect(await sending.run()).toBe(false);
    expect(sending.running.value).toBe(false);
    expect(sending.legs.value.map(({ state }) => state)).toEqual(["done", "failed", "waiting", "waiting", "waiting"]);
    expect(sending.legs.value[1]?.error).toBe("Stopped.");
    expect(sending.sentTo).toEqual(["member@x.example"]);
    handed = 1;
    await sending.run();
    expect(sending.legs.value[1]?.error).toContain("it may be there");
    world.toWorld = async () => undefined;
    expect(await sending.run()).toBe(true);
  });

  it("stops while it is sealing, before anything is sent", async () => {
    const world = new World();
    const sending = new Sending(world, letter(), ROUTES, []);
    const sealed = world.sealLetter;
    world.sealLetter = (...given) => (sending.stop(), sealed(...given));
    expect(await sending.run()).toBe(false);
    expect(world.calls).toEqual(["seal member@x.example"]);
    expect(sending.legs.value[0]).toMatchObject({ state: "failed", error: "Stopped." });
  });

  it("takes a new id where the server would find the old one too old", async () => {
    const world = new World();
    const sending = new Sending(world, letter({ to: people("member"), cc: [], bcc: [] }), ROUTES, []);
    world.failing.add("to member@x.example");
    await sending.run();
    world.time += 9 * 60_000;
    await sending.run();
    expect(new Set(world.ids).size).toBe(2);
  });

  it("that lost only the own copy keeps it, and sends nothing twice", async () => {
    const world = new World();
    world.failing.add("own");
    const sending = new Sending(world, letter(), ROUTES, []);
    expect(await sending.run()).toBe(false);
    expect(sending.complete).toBe(true);
    world.failing.clear();
    world.calls = [];
    expect(await sending.run()).toBe(true);
    expect(world.calls).toEqual(["seal own", "own"]);
  });

  it("leaves out who has got it already", async () => {
    const world = new World();
    await new Sending(world, letter(), ROUTES, ["Member@x.example", "open@x.example"]).run();
    expect(world.calls.join()).not.toMatch(/ (member|open)@/);
    expect(world.calls).toContain("to secret@x.example");
  });

  it("never seals to a member without a certificate: that is open", async () => {
    const world = new World();
    const bare = new Map([["member@x.example", { ...route("member", "member")[1], certificate: null }]]);
    await new Sending(world, letter({ to: people("member"), cc: [], bcc: [] }), bare, []).run();
    expect(world.calls).toContain("send member@x.example");
  });

  it("makes ids that begin with the time", () => {
    expect(newStoredId(Date.parse("2026-11-22T17:00:00Z"))).toMatch(/^006b031f90[0-9a-f]{22}$/);
  });
});
