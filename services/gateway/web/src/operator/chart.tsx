/**
 * A time series with the band that the truth lies in. Drawn by uPlot on a canvas; what a pointer shows by hovering, the
 * arrow keys show too, and every chart stands beside a table of the same numbers.
 */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { paintOf, repaint, type Paint } from "./paint";
import { columnsOf, type Point } from "./series";
import { count } from "./words";

interface Props {
  points: Point[];
  /** What it shows, for those who do not see it. */
  label: string;
  /** Days of UTC on the axis, hours of the reader's zone otherwise. */
  byDay: boolean;
  onPoint: (point: Point | null) => void;
  /** Gives the canvas, for a picture of it. */
  drawn: { current: HTMLCanvasElement | null };
}

export function Chart({ points, label, byDay, onPoint, drawn }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = repaint.value;
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    // As large as the style sheet says.
    const size = () => ({ width: box.clientWidth, height: box.clientHeight });
    const made = new uPlot({ ...size(), ...optionsOf(points, byDay, paintOf(box), onPoint) }, columnsOf(points), box);
    plot.current = made;
    drawn.current = made.ctx.canvas;
    const watch = new ResizeObserver(() => made.setSize(size()));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = drawn.current = null;
    };
  }, [points, byDay, theme]);
  const move = (event: KeyboardEvent) => {
    const made = plot.current;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!made || step === undefined || points.length === 0) return;
    event.preventDefault();
    const from = made.cursor.idx ?? (step < 0 ? points.length : -1);
    const next = Math.min(points.length - 1, Math.max(0, from + step));
    made.setCursor({ left: made.valToPos(points[next]!.start, "x"), top: 0 });
  };
  return (
    <div
      ref={place}
      class="chart"
      role="group"
      aria-roledescription="chart"
      aria-label={`${label}. The arrow keys go from window to window.`}
      tabIndex={0}
      onKeyDown={move}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    />
  );
}

function optionsOf(
  points: Point[],
  byDay: boolean,
  paint: Paint,
  onPoint: Props["onPoint"],
): Omit<uPlot.Options, "width" | "height"> {
  const axis = { stroke: paint.soft, font: `12px ${paint.font}`, grid: { stroke: paint.grid, width: 1 }, ticks: { show: false } };
  const few = points.length <= 60;
  const edge = { stroke: "transparent", points: { show: false } };
  return {
    padding: [12, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9, width: 2, fill: paint.surface } },
    ...(byDay ? { tzDate: (time: number) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC") } : {}),
    scales: { x: { time: true }, y: { range: (_, low, high) => rangeOf(low, high) } },
    axes: [
      { ...axis, space: 72, size: 32, values: byDay ? DAYS : HOURS, ...(byDay ? { incrs: WHOLE_DAYS } : {}) },
      { ...axis, size: 62, values: (_, ticks) => ticks.map(count) },
    ],
    series: [
      {},
      { stroke: paint.line, width: 2, spanGaps: false, points: { show: few, size: 5, fill: paint.line, stroke: paint.line } },
      edge,
      edge,
    ],
    bands: [{ series: [2, 3], fill: paint.band }],
    hooks: {
      drawClear: [(made) => shadeGaps(made, points, paint)],
      setCursor: [(made) => onPoint(made.cursor.idx == null || (made.cursor.left ?? -1) < 0 ? null : (points[made.cursor.idx] ?? null))],
    },
  };
}

const WHOLE_DAYS = [1, 2, 3, 7, 14, 28].map((days) => days * 86_400);

const HOURS = (_: uPlot, ticks: number[], __: number, ___: number, step: number) =>
  ticks.map((tick) => {
    const time = new Date(tick * 1000);
    const midnight = time.getHours() === 0 && time.getMinutes() === 0;
    if (step >= 86_400 || midnight) return time.toLocaleDateString([], { day: "numeric", month: "short" });
    return time.toLocaleTimeString([], { hour: "numeric", ...(step < 3600 ? { minute: "2-digit" } : {}) });
  });

const DAYS = (_: uPlot, ticks: number[]) =>
  ticks.map((tick) => new Date(tick * 1000).toLocaleDateString([], { timeZone: "UTC", day: "numeric", month: "short" }));

/** From zero, for counts are read by their height; noise can be below it. */
function rangeOf(low: number | null, high: number | null): [number, number] {
  const top = Math.max(high ?? 0, 1);
  const bottom = Math.min(low ?? 0, 0);
  return [bottom < -top ? bottom : Math.max(bottom, -top), top + (top - Math.min(bottom, 0)) * 0.06];
}

/** Windows without a number are seen as such, not as a line that is missing by chance. */
function shadeGaps(made: uPlot, points: Point[], paint: Paint): void {
  const { ctx, bbox } = made;
  ctx.save();
  ctx.fillStyle = paint.gap;
  for (const point of points) {
    if (point.value !== null) continue;
    const half = (point.end - point.start) / 2;
    const left = Math.max(bbox.left, made.valToPos(point.start - half, "x", true));
    const right = Math.min(bbox.left + bbox.width, made.valToPos(point.end - half, "x", true));
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}
