/** Words for figures, reasons and the condition of services. */
import { describe, expect, it } from "vitest";
import { conditionOf, errorShare, newest, overall } from "../src/operator/condition";
import type { ServiceHealth } from "../src/operator/types";
import { amount, boundWords, deedWord, measured, reasonWord, title, valueWord, windowWords, withNoise } from "../src/operator/words";

const service = (up: number, expected: number, series: Record<string, (number | null)[]> = {}): ServiceHealth => ({
  service: "storage",
  up,
  expected,
  series: Object.entries(series).map(([name, values]) => ({ name, unit: "per_second", values })),
});

describe("figures", () => {
  it("are short", () => {
    expect(measured(0.0042, "seconds")).toBe("4.2\u00a0ms");
    expect(measured(1.25, "seconds")).toBe("1.3\u00a0s");
    expect(measured(0.14, "ratio")).toBe("14\u00a0%");
    expect(measured(0.0004, "ratio")).toBe("0.04\u00a0%");
    expect(measured(0.0004, "per_second")).toBe("< 0.01/s");
    expect(measured(122_400_000, "bytes")).toBe("122\u00a0MB");
    expect(measured(0, "per_second")).toBe("0/s");
    expect(measured(1234, "count")).toBe((1234).toLocaleString());
    expect(measured(null, "count")).toBe("unknown");
  });

  it("of a budget are never 0 where they are not", () => {
    expect(amount(0)).toBe("0");
    expect(amount(8)).toBe("8");
    expect(amount(0.35)).toBe((0.35).toLocaleString());
    expect(amount(2e-5)).toBe("2.0 · 10⁻⁵");
    expect(amount(1.5e-12)).toBe("1.5 · 10⁻¹²");
  });

  it("come with their noise", () => {
    expect(withNoise(12_345.4, 749)).toBe(`${(12_345).toLocaleString()} ± 749`);
  });
});

describe("words", () => {
  it("are those of people", () => {
    expect(title("mail_received")).toBe("Mail received");
    expect(title("http_requests")).toBe("HTTP requests");
    expect(valueWord("16k")).toBe("up to 16 kB");
    expect(valueWord("api_account")).toBe("api account");
    expect(reasonWord("budget")).toContain("budget");
    expect(deedWord("holder_granted")).toContain("give the role");
    expect(boundWords("ip", 1)).toBe("One address of the network counts at most once a day.");
    expect(boundWords("account", 50)).toContain("at most 50 times");
  });

  it("for a day of UTC name that day, wherever the reader is", () => {
    const day = Date.UTC(2026, 10, 22) / 1000;
    const named = new Date(day * 1000).toLocaleDateString([], { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
    expect(windowWords(day, day + 86_400)).toBe(named);
    expect(windowWords(day, day + 3600)).toContain("–");
  });
});

describe("the condition", () => {
  it("of all that is well is said in one sentence", () => {
    const well = service(2, 2, { requests: [10, 10], errors: [0, 0] });
    expect(overall({ times: [], services: [well, well] })).toEqual({ tone: "good", text: "All 2 services answer, and are well." });
  });

  it("of what is not names it, the worst first in tone", () => {
    const late = service(1, 2, { requests: [10], errors: [0] });
    const gone = { ...service(0, 2), service: "crypto" };
    expect(conditionOf(late)).toEqual({ tone: "warning", word: "1 of 2 answer" });
    expect(overall({ times: [], services: [late, gone] })).toEqual({
      tone: "bad",
      text: "storage: 1 of 2 answer; crypto: does not answer.",
    });
  });

  it("counts errors by their share of the last minutes", () => {
    const failing = service(2, 2, { requests: [...Array<number>(20).fill(100), 10, null], errors: [...Array<number>(20).fill(0), 90, null] });
    expect(errorShare(failing)).toBeCloseTo(90 / 810, 2);
    expect(conditionOf(failing).tone).toBe("bad");
    expect(errorShare(service(1, 1, { requests: [0], errors: [0] }))).toBe(0);
    expect(conditionOf(service(1, 1, { saturation: [0.95, 0.97] })).word).toBe("near its limit");
  });

  it("is not known of nothing", () => {
    expect(overall({ times: [], services: [] }).tone).toBe("warning");
    expect(newest(undefined)).toBeNull();
    expect(newest({ name: "x", unit: "count", values: [3, null] })).toBe(3);
  });
});
