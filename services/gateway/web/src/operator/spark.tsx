/** A line without axes, as high as a line of text or two: how a figure went in the last hour. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { paintOf, repaint } from "./paint";

type Line = (number | null)[];

const HEIGHT = 34;

export function Spark({ times, lines }: { times: number[]; lines: Line[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = repaint.value;
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const paint = paintOf(box);
    const line = { points: { show: false }, spanGaps: false };
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        padding: [3, 0, 3, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, _low, high) => [0, Math.max(high ?? 0, 1e-9) * 1.1] } },
        axes: [{ show: false }, { show: false }],
        series: [
          {},
          { ...line, stroke: paint.line, width: 1.5, ...(lines.length === 1 ? { fill: paint.band } : {}) },
          ...lines.slice(1).map(() => ({ ...line, stroke: paint.second, width: 1.5 })),
        ],
      },
      [times, ...lines] as uPlot.AlignedData,
      box,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines.length, theme]);
  useEffect(() => plot.current?.setData([times, ...lines] as uPlot.AlignedData), [times, lines]);
  return <div ref={place} class="spark" aria-hidden="true" />;
}
