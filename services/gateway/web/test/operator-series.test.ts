/** From releases to points, sums and bars: gaps stay gaps, and nothing is shown that no release holds. */
import { describe, expect, it } from "vitest";
import { barsOf, columnsOf, pointsOf, reasonsOf, sumOf } from "../src/operator/series";
import type { Release, Statistics } from "../src/operator/types";

const HOUR = 3600;
const iso = (hour: number) => new Date(hour * HOUR * 1000).toISOString();

function release(hour: number, cells: Record<string, number>, more: Partial<Release> = {}): Release {
  return {
    start: iso(hour),
    end: iso(hour + 1),
    released: iso(hour + 1),
    epsilon: 0.2,
    delta: 0,
    threshold: 0,
    scale: 250,
    half_width: 749,
    cells: Object.entries(cells).map(([value, count]) => ({ values: [value], key: null, value: count })),
    ...more,
  };
}

const found = (releases: Release[], missing: Statistics["missing"] = []): Statistics => ({
  metric: "mail_received",
  cut: "by_outcome",
  dimensions: ["outcome"],
  window: "hour",
  releases,
  missing,
});

const ACCEPTED = JSON.stringify([null, "accepted"]);

describe("points", () => {
  it("stand in order, with the reason where there is no number", () => {
    const points = pointsOf(
      found([release(3, { accepted: 5, refused: 2 }), release(1, { accepted: 7, refused: -1 })], [
        { start: iso(2), end: iso(3), reason: "budget" },
      ]),
      ACCEPTED,
    );
    expect(points.map((one) => one.start / HOUR)).toEqual([1, 2, 3]);
    expect(points.map((one) => one.value)).toEqual([7, null, 5]);
    expect(points.map((one) => one.half)).toEqual([749, 0, 749]);
    expect(reasonsOf(points)).toEqual([["budget", 1]]);
  });

  it("count each window of a longer time without numbers", () => {
    const points = pointsOf(found([release(1, { accepted: 7 })], [{ start: iso(2), end: iso(6), reason: "lost" }]), ACCEPTED);
    expect(points.map((one) => one.start / HOUR)).toEqual([1, 2, 3, 4, 5]);
    expect(reasonsOf(points)).toEqual([["lost", 4]]);
  });

  it("leave a gap where nobody speaks of a window", () => {
    const points = pointsOf(found([release(1, { accepted: 1 }), release(4, { accepted: 2 })]), ACCEPTED);
    expect(points.map((one) => [one.start / HOUR, one.end / HOUR, one.value])).toEqual([
      [1, 2, 1],
      [2, 4, null],
      [4, 5, 2],
    ]);
    expect(reasonsOf(points)).toEqual([]);
    expect(columnsOf(points)[1]).toEqual([1, null, 2]);
  });

  it("of all cells together have the wider band of their sum", () => {
    const [point] = pointsOf(found([release(1, { accepted: 10, refused: 20, deferred: -3, other: 0 })]), null);
    expect(point!.value).toBe(27);
    expect(point!.half).toBeGreaterThan(749);
    expect(point!.half).toBeLessThan(2 * 749);
  });

  it("have the release's own band where one cell is all", () => {
    const [point] = pointsOf(found([release(1, { accepted: 10 }, { half_width: 750 })]), null);
    expect([point!.value, point!.half]).toEqual([10, 750]);
  });

  it("of a cell that was below the threshold are not zero", () => {
    const points = pointsOf(found([release(1, { accepted: 900 }, { threshold: 800, delta: 1e-6 })]), JSON.stringify([null, "x"]));
    expect(points.map((one) => [one.value, one.reason])).toEqual([[null, "threshold"]]);
  });

  it("give edges around every value and none around a gap", () => {
    const points = pointsOf(found([release(1, { accepted: 100 })], [{ start: iso(2), end: iso(3), reason: "open" }]), ACCEPTED);
    expect(columnsOf(points)).toEqual([
      [HOUR, 2 * HOUR],
      [100, null],
      [849, null],
      [-649, null],
    ]);
  });
});

describe("sums", () => {
  it("are those of the numbers, exact only as their noise allows", () => {
    const sum = sumOf(pointsOf(found([1, 2, 3, 4].map((hour) => release(hour, { accepted: hour }))), ACCEPTED));
    expect(sum!.value).toBe(10);
    expect(sum!.half).toBeGreaterThan(749);
    expect(sum!.half).toBeLessThan(4 * 749);
  });

  it("of one window are its number; of none, nothing", () => {
    expect(sumOf(pointsOf(found([release(1, { accepted: 4 })]), ACCEPTED))).toEqual({ value: 4, half: 749 });
    expect(sumOf(pointsOf(found([], [{ start: iso(1), end: iso(2), reason: "open" }]), null))).toBeNull();
  });
});

describe("bars", () => {
  it("are summed by cell, the greatest first, and say in how many windows each was shown", () => {
    const bars = barsOf([release(1, { refused: 5, accepted: 1 }), release(2, { accepted: 10 })]);
    expect(bars.map(({ label, value, windows }) => [label, value, windows])).toEqual([
      ["accepted", 11, 2],
      ["refused", 5, 1],
    ]);
    expect(bars[1]!.half).toBe(749);
    expect(bars[0]!.half).toBeGreaterThan(749);
  });

  it("tell cells of different keys apart", () => {
    const cells = ["000000000000000a", "000000000000000b"].map((key) => ({ values: ["open"], key, value: 3 }));
    expect(barsOf([release(1, {}, { cells })]).map((bar) => bar.label)).toEqual(["#a · open", "#b · open"]);
  });
});
