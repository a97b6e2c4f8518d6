/** Intervals of sums, against the exact distribution of sums of discrete Laplace noise. */
import { describe, expect, it } from "vitest";
import { halfWidth } from "../src/operator/noise";

/** P(|X1 + … + Xn| <= t), by adding one at a time. */
function within(scale: number, count: number, t: number): number {
  const q = Math.exp(-1 / scale);
  const reach = Math.ceil(scale * (14 + 6 * Math.sqrt(count)));
  const size = 2 * reach + 1;
  let sum = new Float64Array(size);
  sum[reach] = 1;
  // A discrete Laplace variable is the difference of two geometric ones: two runs over the array add one.
  for (let i = 0; i < count; i++) {
    const right = new Float64Array(size);
    for (let k = 0, last = 0; k < size; k++) right[k] = last = last * q + sum[k]! * (1 - q);
    const left = new Float64Array(size);
    for (let k = size - 1, last = 0; k >= 0; k--) left[k] = last = last * q + right[k]! * (1 - q);
    sum = left;
  }
  let inside = 0;
  for (let k = Math.max(0, reach - t); k <= Math.min(size - 1, reach + t); k++) inside += sum[k]!;
  return inside;
}

describe("the interval of a sum", () => {
  it.each([
    [0.5, 1],
    [3, 1],
    [60, 1],
    [250, 1],
  ])("is the smallest that holds for one number, scale %d", (scale, count) => {
    const half = halfWidth([{ scale, count }]);
    expect(within(scale, count, half)).toBeGreaterThanOrEqual(0.95 - 1e-9);
    if (half > 0) expect(within(scale, count, half - 1)).toBeLessThan(0.95);
  });

  it.each([
    [3, 2],
    [20, 2],
    [20, 3],
    [20, 5],
    [60, 24],
    [5, 168],
  ])("is not too narrow, nor needlessly wide, for scale %d and %d numbers", (scale, count) => {
    const half = halfWidth([{ scale, count }]);
    expect(within(scale, count, half)).toBeGreaterThanOrEqual(0.95);
    expect(within(scale, count, Math.floor(half * 0.96) - 1)).toBeLessThan(0.95);
  });

  it("adds what has different scales", () => {
    const parts = halfWidth([
      { scale: 20, count: 3 },
      { scale: 20, count: 4 },
    ]);
    expect(parts).toBe(halfWidth([{ scale: 20, count: 7 }]));
    const mixed = [
      { scale: 20, count: 1 },
      { scale: 400, count: 1 },
    ];
    expect(halfWidth(mixed)).toBeGreaterThanOrEqual(halfWidth([{ scale: 400, count: 1 }]));
  });

  it("is nothing for nothing", () => {
    expect(halfWidth([])).toBe(0);
    expect(halfWidth([{ scale: 0, count: 3 }])).toBe(0);
  });
});
