/** From releases to what is drawn: a point for each window, gaps where nothing was released, sums with their intervals. */
import { halfWidth, type Noise } from "./noise";
import type { Cell, Release, Statistics } from "./types";
import { valueWord } from "./words";

export interface Point {
  /** Unix seconds */
  start: number;
  end: number;
  /** null: nothing to show, for `reason` */
  value: number | null;
  half: number;
  reason: string;
  noise: Noise;
}

export interface Figure {
  value: number;
  half: number;
}

export interface Bar extends Figure {
  id: string;
  label: string;
  /** in how many of the windows it was shown */
  windows: number;
}

/** What identifies a cell from window to window. */
export const idOf = (cell: Cell) => JSON.stringify([cell.key, ...cell.values]);

export function labelOf(cell: Cell): string {
  const words = cell.values.map(valueWord);
  if (cell.key) words.unshift(`#${cell.key.replace(/^0+/, "").slice(-8)}`);
  return words.join(" · ") || "All";
}

const seconds = (time: string) => Date.parse(time) / 1000;

/** The windows of a cell, or with null of all cells together, in their order. */
export function pointsOf(found: Statistics, id: string | null): Point[] {
  const points = found.releases.map((release) => pointOf(release, id));
  const length = lengthOf(found);
  for (const { start, end, reason } of found.missing) {
    // Windows that follow each other are missing in one entry.
    for (let from = seconds(start); from < seconds(end); from += length) {
      points.push(gap(from, Math.min(from + length, seconds(end)), reason));
    }
  }
  points.sort((a, b) => a.start - b.start);
  const whole: Point[] = [];
  for (const point of points) {
    const last = whole.at(-1);
    // The line must not run over windows that nobody speaks of.
    if (last && point.start > last.end) whole.push(gap(last.end, point.start, "none"));
    whole.push(point);
  }
  return whole;
}

/** Seconds of a window; short ones are hours, but for installations that try things out. */
function lengthOf(found: Statistics): number {
  const [first] = found.releases;
  return first ? seconds(first.end) - seconds(first.start) : found.window === "day" ? 86_400 : 3600;
}

function pointOf(release: Release, id: string | null): Point {
  const [start, end] = [seconds(release.start), seconds(release.end)];
  const cells = id === null ? release.cells : release.cells.filter((cell) => idOf(cell) === id);
  if (cells.length === 0) return gap(start, end, "threshold");
  const noise = { scale: release.scale, count: cells.length };
  const half = cells.length === 1 ? release.half_width : halfWidth([noise]);
  return { start, end, value: cells.reduce((sum, cell) => sum + cell.value, 0), half, reason: "", noise };
}

const gap = (start: number, end: number, reason: string): Point => ({
  start,
  end,
  value: null,
  half: 0,
  reason,
  noise: { scale: 0, count: 0 },
});

/** All windows together; null where none was released. */
export function sumOf(points: Point[]): Figure | null {
  const shown = points.filter((point) => point.value !== null);
  if (shown.length === 0) return null;
  if (shown.length === 1) return { value: shown[0]!.value!, half: shown[0]!.half };
  const value = shown.reduce((sum, point) => sum + point.value!, 0);
  return { value, half: halfWidth(shown.map((point) => point.noise)) };
}

/** Why windows are missing, and how many, the most frequent first. */
export function reasonsOf(points: Point[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { value, reason } of points) {
    if (value === null && reason !== "none") counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** What uPlot takes: times, values, and the edges of the band. */
export function columnsOf(points: Point[]): [number[], (number | null)[], (number | null)[], (number | null)[]] {
  const edge = (sign: number) => points.map(({ value, half }) => (value === null ? null : value + sign * half));
  return [points.map((point) => point.start), points.map((point) => point.value), edge(1), edge(-1)];
}

/** The cells of these windows, each summed, the greatest first. */
export function barsOf(releases: Release[]): Bar[] {
  const cells = new Map<string, { label: string; value: number; parts: { noise: Noise; half: number }[] }>();
  for (const release of releases) {
    for (const cell of release.cells) {
      const id = idOf(cell);
      const known = cells.get(id) ?? { label: labelOf(cell), value: 0, parts: [] };
      known.value += cell.value;
      known.parts.push({ noise: { scale: release.scale, count: 1 }, half: release.half_width });
      cells.set(id, known);
    }
  }
  const bars = [...cells].map(([id, { label, value, parts }]) => {
    const half = parts.length === 1 ? parts[0]!.half : halfWidth(parts.map((part) => part.noise));
    return { id, label, value, half, windows: parts.length };
  });
  return bars.sort((a, b) => b.value - a.value || a.label.localeCompare(b.label));
}
