import { describe, expect, it } from "vitest";
import type { Allowance, Payment, Plan, Standing, What } from "../src/api/billing";
import { compared, differenceWords } from "../src/operator/reconciled";
import { above, beyond, entryWords, included, offers, owed, pay, returnedWords, stateWords, units } from "../src/state/billing";
import { ceiling, lastDays, metersOf, series } from "../src/state/usage";

const NOW = Date.UTC(2026, 10, 23, 12);
const show = (amount: number) => `€${(amount / 100).toFixed(2)}`;
const allowance = (meter: string, most: number | null, per: Allowance["per"] = "day"): Allowance => ({
  meter,
  title: { storage_bytes: "Storage", addresses: "Addresses", sends: "Mails sent", api_operations: "API operations" }[meter] ?? meter,
  per,
  included: most,
  unit: { addresses: "address", sends: "mail" }[meter] ?? "",
  tiers: [],
});
const plan = (name: string, price: number, storage: number, trial_days = 0): Plan => ({
  name,
  title: name.charAt(0).toUpperCase() + name.slice(1),
  help: "",
  price,
  trial_days,
  allowances: [allowance("storage_bytes", storage, "level"), allowance("addresses", price ? 10 : 1, "level")],
});
const PLANS = [plan("free", 0, 1e9), plan("personal", 300, 15e9, 14), plan("business", 900, 100e9, 14)];
const standing = (changes: Partial<Standing> = {}): Standing => ({
  plan: "free",
  coming: [],
  state: "free",
  state_until: null,
  next_plan: null,
  next_plan_at: null,
  used: [],
  credits: 0,
  credits_held: 0,
  due: 0,
  due_at: null,
  accruing: 0,
  ...changes,
});
const of = (changes: Partial<Standing> = {}) =>
  Object.fromEntries(offers({ standing: standing(changes), plans: PLANS, show }).map((offer) => [offer.plan.name, offer]));

describe("plans say what a click does, and when", () => {
  it("gives more at once, the first time free for some days", () => {
    const { free, personal } = of();
    expect(free).toMatchObject({ current: true, action: "", then: "" });
    expect(personal).toMatchObject({
      action: "Choose Personal",
      then: "At once. Your first trial is free for 14 days, then €3.00 a month before tax.",
    });
    const { business } = of({ plan: "personal", state: "active" });
    expect(business!.then).toBe("At once; €9.00 a month before tax, this month by its days.");
  });

  it("gives less from the next month on, and cancels in one click", () => {
    const { free, personal } = of({ plan: "business", state: "active" });
    expect(personal).toMatchObject({ action: "Choose Personal", then: "From the first of next month on. Until then you keep Business." });
    expect(free!.action).toBe("Cancel, back to Free");
  });

  it("changes at once while a trial goes on, and ends it without a bill", () => {
    const trial = of({ plan: "personal", state: "trial", state_until: "2026-12-07T00:00:00Z" });
    expect(trial["free"]).toMatchObject({
      action: "Cancel, back to Free",
      then: "At once. Your trial ends, and nothing is to be paid.",
    });
    expect(trial["business"]!.then).toMatch(/^At once\. Your trial goes on until .*2026, then €9\.00 a month before tax\.$/);
  });

  it("shows what is planned, and how to keep things as they are", () => {
    const planned = of({ plan: "business", state: "active", next_plan: "free", next_plan_at: "2026-12-01T00:00:00Z" });
    expect(planned["business"]).toMatchObject({ action: "Keep Business", then: "Takes the change to Free back." });
    expect(planned["free"]).toMatchObject({ planned: true, action: "" });
    expect(planned["free"]!.then).toContain("2026");
    expect(planned["personal"]!.action).toBe("Choose Personal");
  });

  it("warns of what would not fit, and only of what is held at a time", () => {
    const used = [
      { allowance: allowance("sends", 500), used: 400 },
      { allowance: allowance("storage_bytes", 15e9, "level"), used: 2_100_000_000 },
    ];
    expect(beyond(PLANS[0]!, standing({ used }))).toBe(
      "You hold 2.1 GB, and this plan has 1.0 GB. Nothing is deleted, but new mail is turned away until there is room.",
    );
    expect(beyond(PLANS[2]!, standing({ used }))).toBe("");
    const many = [{ allowance: allowance("addresses", 10, "level"), used: 4 }];
    expect(beyond(PLANS[0]!, standing({ used: many }))).toContain("no more can be added");
  });
});

describe("what is due", () => {
  it("is told kindly, with its day", () => {
    expect(owed(standing(), show, NOW)).toBeNull();
    const open = owed(standing({ state: "active", due: 357, due_at: "2026-12-07T00:00:00Z" }), show, NOW);
    expect(open).toMatchObject({ tone: "info" });
    expect(open!.title).toMatch(/^€3\.57 to pay until .*2026/);
    const today = owed(standing({ state: "active", due: 357, due_at: "2026-11-23T00:00:00Z" }), show, NOW);
    expect(today!.title).toContain("until");
  });

  it("says until when everything works, and that mail is never lost", () => {
    const grace = owed(
      standing({ state: "grace", due: 357, due_at: "2026-11-20T00:00:00Z", state_until: "2026-12-04T00:00:00Z" }),
      show,
      NOW,
    );
    expect(grace!.words).toMatch(/Everything works until .*2026/);
    for (const told of [grace, owed(standing({ state: "read_only", due: 357 }), show, NOW)])
      expect(told!.words).toContain("nothing is deleted");
  });

  it("stands beside the plan", () => {
    expect(stateWords(standing()).badge).toBe("");
    expect(stateWords(standing({ state: "trial", state_until: "2026-12-07T00:00:00Z" })).badge).toMatch(/^Free until .*2026$/);
    expect(stateWords(standing({ state: "read_only" })).tone).toBe("warning");
  });
});

describe("coming back from the provider", () => {
  it("says what has become of the payment", () => {
    expect(returnedWords({ state: "paid" }).tone).toBe("good");
    expect(returnedWords({ state: "waiting" }).words).toContain("not confirmed yet");
    expect(returnedWords({ state: "failed" }).words).toContain("nothing was taken");
  });
});

describe("allowances in words", () => {
  it("say what is included and what more costs", () => {
    expect(included(allowance("storage_bytes", 15e9, "level"))).toBe("15 GB storage");
    expect(included(allowance("sends", 500))).toBe("500 mails sent a day");
    expect(included(allowance("addresses", 1, "level"))).toBe("1 address");
    expect(included(allowance("api_operations", 5000))).toBe(`${(5000).toLocaleString()} API operations a day`);
    expect(included(allowance("api_operations", null))).toBe("API operations without limit");
    const tiers = [
      { above: 0, price: 70, per_units: 1000 },
      { above: 100_000, price: 50, per_units: 1000 },
    ];
    expect(above({ ...allowance("sends", 5), tiers }, show)).toBe(`More: €0.70 for each begun ${(1000).toLocaleString()}, less for many`);
    expect(above({ ...allowance("sends", 5), tiers: [{ above: 0, price: 95, per_units: 1 }] }, show)).toBe("More: €0.95 for each mail");
    expect(units(1_500_000, { meter: "storage_bytes" })).toBe("1.5 MB");
  });

  it("know every kind of entry, and show one that they do not know", () => {
    expect(entryWords({ kind: "credits_bought" })).toBe("Credits bought");
    expect(entryWords({ kind: "something_new" })).toBe("Something new");
  });
});

describe("starting a payment", () => {
  const payment = (id: string, state: Payment["state"]): Payment => ({
    id, state, amount: 1190, currency: "EUR", purpose: "credits", what: "", reference: "SP-1", instructions: "", url: null, created: "2026-11-23T12:00:00Z",
  }); // prettier-ignore

  it("finds the one that waits, and begins another one when that is over", async () => {
    const known = new Map<string, Payment>();
    const start = (id: string, what: What) => {
      expect(id).toMatch(/^[0-9a-f]{32}$/);
      expect(what).toEqual({ credits: 1000 });
      if (!known.has(id)) known.set(id, payment(id, "waiting"));
      return Promise.resolve(known.get(id)!);
    };
    const buy = () => pay("a", { credits: 1000 }, new Date(NOW), start);
    const first = await buy();
    expect(await buy()).toBe(first);
    first.state = "paid";
    const second = await buy();
    expect(second.id).not.toBe(first.id);
    expect(await buy()).toBe(second);
    expect(known.size).toBe(2);
  });

  it("never asks without end", async () => {
    let asked = 0;
    const paid = await pay("a", { invoice: "2026-000001" }, new Date(NOW), (id) => (asked++, Promise.resolve(payment(id, "paid"))));
    expect(paid.state).toBe("paid");
    expect(asked).toBeLessThan(100);
  });
});

describe("a statement by day", () => {
  it("has every day in its place, over the end of a month", () => {
    const days = lastDays(31, new Date(NOW));
    expect([days.length, days[0], days.at(-1)]).toEqual([31, "2026-10-24", "2026-11-23"]);
    const found = [{ day: "2026-10-31", units: { sends: 7 } }, { day: "2026-11-23", units: { sends: 2, mails_stored: 3 } }];
    const sends = series(days, found, "sends");
    expect([sends.total, sends.most, sends.values[7], sends.values[30], sends.values[8]]).toEqual([9, 7, 7, 2, 0]);
    expect(metersOf(found, [allowance("storage_bytes", 1, "level"), allowance("sends", 1)]).map(([meter]) => meter)).toEqual([
      "mails_stored",
      "sends",
    ]);
  });

  it("has an axis that ends with a round number", () => {
    expect([0, 1, 2, 3, 7, 10, 11, 4321].map(ceiling)).toEqual([1, 1, 2, 5, 10, 10, 20, 5000]);
  });
});

describe("reconciliations", () => {
  const row = (day: string, meter: string, counted: number, owned: number) => ({ day, meter, counted, owned, late: 0 });

  it("stand by day and meter, with gaps where nothing was compared", () => {
    const found = compared([
      row("2026-11-20", "b", 5, 5),
      row("2026-11-22", "a", 7, 10),
      row("2026-11-20", "a", 9, 8),
    ]);
    expect(found.meters).toEqual(["a", "b"]);
    expect(found.days.map(({ day, cells }) => [day, cells.map((cell) => cell?.counted ?? null)])).toEqual([
      ["2026-11-22", [7, null]],
      ["2026-11-20", [9, 5]],
    ]);
    expect(found.apart.map((one) => one.day)).toEqual(["2026-11-22", "2026-11-20"]);
    expect([found.widest.get("a"), found.widest.get("b")]).toEqual([3, 1]);
    expect(found.apart.map(differenceWords)).toEqual(["3 not counted", "1 too many counted"]);
  });
});
