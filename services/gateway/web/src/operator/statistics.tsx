/** Statistics: one cut at a time, over a day, a week or a month, as it was released. */
import { useMemo, useState } from "preact/hooks";
import { navigate, path, pieces } from "../lib/router";
import { Empty, IconButton } from "../ui/parts";
import { operator, type Range } from "./api";
import { Breakdown } from "./breakdown";
import { SeriesCard } from "./series-card";
import { Answer, Choice, Select } from "./parts";
import { pointsOf } from "./series";
import type { Cut, Metric, Statistics } from "./types";
import { useAsk } from "./use-ask";
import { boundWords } from "./words";

type Span = "day" | "week" | "month";

const DAYS: Record<Span, number> = { day: 1, week: 7, month: 31 };
const SPANS: [Span, string][] = [
  ["day", "Day"],
  ["week", "Week"],
  ["month", "Month"],
];
const DAY_MS = 86_400_000;
const EVERY_MS = 300_000;

export function StatisticsSection() {
  const asked = useAsk(operator.metrics, "metrics");
  return <Answer asked={asked}>{(metrics) => <Chosen metrics={metrics} />}</Answer>;
}

function Chosen({ metrics }: { metrics: Metric[] }) {
  const [, , first = "", second = ""] = pieces(path.value);
  const metric = metrics.find((one) => one.name === first) ?? metrics.find((one) => one.name === "mail_received") ?? metrics[0];
  const cut = metric?.cuts.find((one) => one.name === second) ?? metric?.cuts[0];
  if (!metric || !cut) return <Empty icon="info" title="Nothing is counted here" />;
  const go = (to: Metric, which: string) => navigate(`/operator/statistics/${to.name}/${which}`);
  return (
    <>
      <div class="pick">
        <Select
          label="What is counted"
          value={metric.name}
          options={metrics.map((one) => [one.name, one.title])}
          onChange={(name) => {
            const next = metrics.find((one) => one.name === name);
            if (next?.cuts[0]) go(next, next.cuts[0].name);
          }}
        />
        <Select
          label="Released as"
          value={cut.name}
          options={metric.cuts.map((one) => [one.name, `${one.title}, ${one.window === "hour" ? "hourly" : "daily"}`])}
          onChange={(name) => go(metric, name)}
        />
      </div>
      <p class="lead muted">
        {metric.help} {boundWords(metric.unit, metric.per_unit)}
      </p>
      <Ranged key={`${metric.name}/${cut.name}`} metric={metric} cut={cut} />
    </>
  );
}

function Ranged({ metric, cut }: { metric: Metric; cut: Cut }) {
  const [span, setSpan] = useState<Span>(cut.window === "hour" ? "day" : "month");
  const [back, setBack] = useState(0);
  const range = rangeOf(span, back);
  const question = `${metric.name}/${cut.name}/${span}/${back}`;
  const asked = useAsk(() => operator.releases(metric.name, cut.name, rangeOf(span, back)), question, EVERY_MS);
  return (
    <>
      <div class="range">
        <Choice
          label="Range"
          value={span}
          options={SPANS}
          disabled={cut.window === "day" ? ["day"] : []}
          onChange={(next) => {
            setSpan(next);
            setBack(0);
          }}
        />
        <div class="row steps">
          <IconButton icon="back" label={`Earlier ${span}`} onClick={() => setBack(back + 1)} />
          <span class="muted">{rangeWords(range)}</span>
          <IconButton
            icon="back"
            class="turned"
            label={`Later ${span}`}
            disabled={back === 0}
            onClick={() => setBack(back - 1)}
          />
        </div>
      </div>
      <Answer asked={asked}>{(found) => <Found metric={metric} cut={cut} range={range} found={found} />}</Answer>
    </>
  );
}

/** The last of them ends now, the ones before end where the next begins. */
function rangeOf(span: Span, back: number, now = Date.now()): Range {
  const until = now - back * DAYS[span] * DAY_MS;
  return { from: new Date(until - DAYS[span] * DAY_MS), until: new Date(until) };
}

function rangeWords({ from, until }: Range): string {
  const day = (time: Date) => time.toLocaleDateString([], { day: "numeric", month: "short" });
  return `${day(from)} – ${day(until)}`;
}

function Found({ metric, cut, range, found }: { metric: Metric; cut: Cut; range: Range; found: Statistics }) {
  const [picked, pick] = useState<string | null>(null);
  const points = useMemo(() => pointsOf(found, picked), [found, picked]);
  if (found.releases.length === 0) return <Nothing cut={cut} found={found} />;
  return (
    <>
      <SeriesCard metric={metric} cut={cut} range={range} found={found} points={points} picked={picked} onPick={pick} />
      <Breakdown cut={cut} found={found} picked={picked} onPick={pick} />
    </>
  );
}

function Nothing({ cut, found }: { cut: Cut; found: Statistics }) {
  const waits = found.missing.length === 0 || found.missing.every((one) => one.reason === "open");
  if (!waits) {
    return (
      <Empty icon="info" title="Nothing was released in this time">
        {found.missing.some((one) => one.reason === "budget")
          ? "The privacy budget of the day was spent."
          : "The counts of this time were lost before their release."}
      </Empty>
    );
  }
  return (
    <Empty icon="clock" title="No numbers in this time">
      The first numbers appear after the first {cut.window}.
    </Empty>
  );
}
