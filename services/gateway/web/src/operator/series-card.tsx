/** One series over time with its band, what it adds up to, and ways to take it along. */
import { useMemo, useRef, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { toast } from "../state/toast";
import { Button } from "../ui/parts";
import { Icon } from "../ui/icon";
import { operator, type Range } from "./api";
import { Chart } from "./chart";
import { Card, Figures, Select } from "./parts";
import { savePicture } from "./picture";
import { idOf, labelOf, reasonsOf, sumOf, type Point } from "./series";
import type { Cut, Metric, Statistics } from "./types";
import { amount, count, reasonWord, windowWords, withNoise, zoneWords } from "./words";

interface Props {
  metric: Metric;
  cut: Cut;
  range: Range;
  found: Statistics;
  points: Point[];
  picked: string | null;
  onPick: (id: string | null) => void;
}

export const MEANING =
  "Each number is the true count plus random noise; in 95 of 100 cases the truth lies within the band.";
const ALL = "";

export function SeriesCard({ metric, cut, range, found, points, picked, onPick }: Props) {
  const [pointed, setPointed] = useState<Point | null>(null);
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const cells = useMemo(() => cellsOf(found), [found]);
  const name = picked === null ? (cells.length > 1 ? "all together" : "") : (cells.find(([id]) => id === picked)?.[1] ?? "");
  const heading = name ? `${cut.title}: ${name}` : cut.title;
  const save = async () => {
    const chart = canvas.current;
    if (!chart) return;
    const words = {
      title: heading,
      subtitle: `${metric.title}, ${rangeWords(range)}; ${cut.window === "day" ? "days of UTC" : zoneWords()}`,
      legend: "Released number, and the band that holds the truth in 95 of 100 cases",
      note: noiseWords(found),
    };
    try {
      await savePicture(chart, words, `${metric.name}-${cut.name}.png`);
    } catch (error) {
      toast(asSentence(error), { kind: "error" });
    }
  };
  return (
    <Card
      title={heading}
      aside={
        <div class="row take">
          <a class="button small" href={operator.csv(metric.name, cut.name, range)} download>
            <Icon name="download" size={16} /> CSV
          </a>
          <Button class="small" icon="image" onClick={() => void save()}>
            PNG
          </Button>
        </div>
      }
    >
      {cells.length > 1 && (
        <Select
          label="Shown"
          value={picked ?? ALL}
          options={[[ALL, `All ${cells.length} together`], ...cells]}
          onChange={(id) => onPick(id === ALL ? null : id)}
        />
      )}
      <Tiles points={points} window={cut.window} />
      <Chart points={points} label={heading} byDay={cut.window === "day"} onPoint={setPointed} drawn={canvas} />
      <p class="readout" aria-live="polite">
        {pointed ? <Readout point={pointed} /> : <span class="legend">{MEANING}</span>}
      </p>
      <Missing points={points} />
      <p class="hint">{noiseWords(found)}</p>
      <Figures
        caption={heading}
        head={[cut.window === "day" ? "Day (UTC)" : "Hour", "Number", "Half width", "At least", "At most", "Missing"]}
        rows={points.map(rowOf)}
      />
    </Card>
  );
}

function cellsOf(found: Statistics): [string, string][] {
  const known = new Map<string, string>();
  for (const release of found.releases) for (const cell of release.cells) known.set(idOf(cell), labelOf(cell));
  return [...known];
}

function Tiles({ points, window }: { points: Point[]; window: string }) {
  const shown = points.filter((point) => point.value !== null);
  const last = shown.at(-1);
  const sum = sumOf(points);
  if (!last || !sum) return null;
  return (
    <dl class="tiles">
      <div>
        <dt>Last {window}</dt>
        <dd>
          {count(last.value!)} <small>± {count(last.half)}</small>
        </dd>
        <dd class="muted">{windowWords(last.start, last.end)}</dd>
      </div>
      {shown.length > 1 && (
        <div>
          <dt>All {shown.length} {window}s</dt>
          <dd>
            {count(sum.value)} <small>± {count(sum.half)}</small>
          </dd>
          <dd class="muted">{count(sum.value / shown.length)} on average</dd>
        </div>
      )}
    </dl>
  );
}

function Readout({ point }: { point: Point }) {
  const when = windowWords(point.start, point.end);
  if (point.value === null) {
    return (
      <>
        {when}: {point.reason === "none" ? "nothing" : reasonWord(point.reason)}
      </>
    );
  }
  return (
    <>
      {when}: <strong>{withNoise(point.value, point.half)}</strong>{" "}
      <span class="muted">
        ({count(point.value - point.half)} to {count(point.value + point.half)})
      </span>
    </>
  );
}

function Missing({ points }: { points: Point[] }) {
  const reasons = reasonsOf(points);
  if (reasons.length === 0) return null;
  const words = reasons.map(([reason, times]) => `${times} (${reasonWord(reason)})`);
  return (
    <p class="hint gaps">
      <i aria-hidden="true" /> Windows without a number: {words.join(", ")}.
    </p>
  );
}

function noiseWords(found: Statistics): string {
  const last = found.releases.at(-1);
  if (!last) return "";
  const threshold = last.threshold > 0 ? ` Numbers below ${count(last.threshold)} are left out.` : "";
  const delta = last.delta > 0 ? `, δ ${amount(last.delta)}` : "";
  return `ε ${amount(last.epsilon)}${delta}; noise of scale ${amount(last.scale)}, ± ${count(last.half_width)} for one number.${threshold}`;
}

function rowOf(point: Point): string[] {
  const when = windowWords(point.start, point.end);
  if (point.value === null) return [when, "–", "–", "–", "–", point.reason === "none" ? "" : reasonWord(point.reason)];
  const { value, half } = point;
  return [when, count(value), count(half), count(value - half), count(value + half), ""];
}

function rangeWords({ from, until }: Range): string {
  const day = (time: Date) => time.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
  return `${day(from)} to ${day(until)}`;
}
