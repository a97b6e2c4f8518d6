import { describe, expect, it } from "vitest";
import type { DeliveryEvent, ResponseDay } from "../src/api/relay";
import { bars, campaignsOf, dayOf, isCampaign, said, sayDay } from "../src/views/sending/responses";

const day = (change: Partial<ResponseDay> = {}): ResponseDay => ({
  day: "2026-11-20T00:00:00Z",
  state: "released",
  opens: null,
  clicks: null,
  ...change,
});

describe("bars", () => {
  it("are scaled so that the highest whisker fits, and none goes below zero", () => {
    const days = [day({ opens: { value: 60, half_width: 40 } }), day(), day({ opens: { value: 20, half_width: 40 } })];
    expect(bars(days, "opens")).toEqual([{ high: 0.6, low: 0.2, top: 1 }, null, { high: 0.2, low: 0, top: 0.6 }]);
    expect(bars(days, "clicks")).toEqual([null, null, null]);
  });
  it("of no days are none", () => expect(bars([], "opens")).toEqual([]));
});

describe("words", () => {
  it("give a number with its interval", () => expect(said({ value: 210, half_width: 41 })).toBe("210 ± 41"));
  it("say what a day without a number means", () => {
    expect(sayDay(day(), "opens")).toBe("Too few to say");
    expect(sayDay(day({ state: "open" }), "opens")).toBe("Not reckoned yet");
    expect(sayDay(day({ state: "lost" }), "clicks")).toBe("No number for this day");
    expect(sayDay(day({ clicks: { value: 7, half_width: 2 } }), "clicks")).toBe("7 ± 2");
  });
  it("take days as UTC has them", () => expect(dayOf("2026-11-20T00:00:00Z")).toContain("20"));
});

describe("campaigns", () => {
  it("are those of the events, once", () => {
    const events = ["spring", "", "autumn", "spring"].map((campaign) => ({ campaign }) as DeliveryEvent);
    expect(campaignsOf(events)).toEqual(["spring", "autumn"]);
  });
  it("have names of a form", () => {
    expect(["spring", "a_b-9"].every(isCampaign)).toBe(true);
    expect(["", "A", "a b", "x".repeat(65)].some(isCampaign)).toBe(false);
  });
});
