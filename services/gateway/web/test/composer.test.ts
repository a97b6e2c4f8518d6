import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../src/api/http";
import type { Letter, OwnNotes } from "../src/mail/letter";
import { Composer, type ComposerPorts } from "../src/state/composer";

const SEALED = { envelope: new Uint8Array(1), body: new Uint8Array(1) };
const ada = { name: "", address: "ada@x.example" };

class World implements ComposerPorts {
  kept: { id: string; replaces: string; subject: string; notes: OwnNotes }[] = [];
  sent: { replaces: string }[] = [];
  dropped: string[] = [];
  failing = false;
  refuses = false;
  private sealing: { letter: Letter; notes: OwnNotes } | null = null;
  sender = () => ({ name: "Me", address: "me@x.example" });
  now = () => new Date();
  sealDraft = async (letter: Letter, notes: OwnNotes) => ((this.sealing = { letter, notes }), SEALED);
  keepDraft = async (id: string, _: unknown, replaces: string) => {
    if (this.failing) throw new ApiError(0, "unreachable", "The server cannot be reached.");
    this.kept.push({ id, replaces, subject: this.sealing!.letter.subject, notes: this.sealing!.notes });
  };
  keepSent = async (_: string, __: unknown, replaces: string) => void this.sent.push({ replaces });
  dropDraft = async (id: string) => void this.dropped.push(id);
  draftChanged = () => undefined;
  sealLetter = async () => SEALED;
  sealOwn = async () => SEALED;
  sealMime = async () => new Uint8Array(1);
  writeOpen = async () => new Uint8Array(1);
  toMember = async () => undefined;
  toWorld = async (_: string, recipients: string[]) => {
    if (this.refuses && recipients.includes("bob@x.example")) throw new ApiError(503, "unavailable", "Later.");
  };
  toOwn = async () => undefined;
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a draft", () => {
  it("is kept some seconds after the last change, in place of the one before, and not without a change", async () => {
    const world = new World();
    const composer = new Composer(world, "k");
    await pass(60_000);
    expect(world.kept).toEqual([]);
    composer.subject.value = "Hal";
    await pass(2_000);
    composer.subject.value = "Half";
    await pass(2_900);
    expect(world.kept).toEqual([]);
    await pass(200);
    expect(world.kept.map(({ subject, replaces }) => [subject, replaces])).toEqual([["Half", ""]]);
    expect(composer.saving.value).toBe("kept");
    const first = composer.draftId;
    composer.text.value = "more";
    await pass(3_100);
    expect(world.kept.at(-1)?.replaces).toBe(first);
    expect([...composer.names]).toEqual(["k", first, composer.draftId]);
    await pass(60_000);
    expect(world.kept).toHaveLength(2);
  });

  it("is kept while somebody types on and on", async () => {
    const world = new World();
    const composer = new Composer(world, "k");
    for (let i = 0; i < 30; i++) {
      composer.text.value += "x";
      await pass(1_000);
    }
    expect(world.kept.length).toBeGreaterThan(0);
  });

  it("with large files is kept less often", async () => {
    const world = new World();
    const composer = new Composer(world, "k");
    composer.attach([{ name: "a", type: "", content: new Blob([new Uint8Array(5_000_000)]) }]);
    await pass(10_000);
    expect(world.kept).toEqual([]);
    await pass(4_000);
    expect(world.kept).toHaveLength(1);
  });

  it("that cannot be kept says so and is tried again", async () => {
    const world = new World();
    const composer = new Composer(world, "k");
    world.failing = true;
    composer.subject.value = "x";
    await pass(3_100);
    expect(composer.saving.value).toBe("failed");
    expect(composer.saveError.value).toBe("The server cannot be reached.");
    world.failing = false;
    await pass(3_100);
    expect(composer.saving.value).toBe("kept");
  });

  it("is kept at once on leaving, and goes when it is given up", async () => {
    const world = new World();
    const composer = new Composer(world, "k");
    composer.subject.value = "x";
    await composer.save();
    expect(world.kept).toHaveLength(1);
    await composer.discard();
    expect(world.dropped).toEqual([world.kept[0]?.id]);
    composer.subject.value = "y";
    await pass(60_000);
    expect(world.kept).toHaveLength(1);
  });

  it("goes with the copy of what was sent", async () => {
    const world = new World();
    const composer = new Composer(world, "k", { to: [ada] });
    composer.subject.value = "x";
    await composer.save();
    const sending = composer.send(new Map());
    expect(await sending).toBe(true);
    expect(world.sent).toEqual([{ replaces: world.kept[0]?.id }]);
    await pass(60_000);
    expect(world.kept).toHaveLength(1);
  });

  it("remembers who has got it already", async () => {
    const world = new World();
    world.refuses = true;
    const bob = { name: "", address: "bob@x.example" };
    const member = { address: ada.address, kind: "member" as const, certificate: "AAAA", fingerprint: "", at: 0 };
    const composer = new Composer(world, "k", { to: [ada, bob] });
    expect(await composer.send(new Map([[ada.address, member]]))).toBe(false);
    expect(world.kept.at(-1)?.notes.sentTo).toEqual([ada.address]);
    expect(world.sent).toEqual([]);
    expect(composer.delivered.has(ada.address)).toBe(true);
  });
});

it("names what is no address", () => {
  const composer = new Composer(new World(), "k", { to: [ada, { name: "", address: "bob" }] });
  expect(composer.wrongAddresses).toEqual(["bob"]);
});
