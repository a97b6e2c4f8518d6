/** The cells of a cut beside each other: bars with whiskers for the interval, of the last window or of the whole range. */
import { useMemo, useState } from "preact/hooks";
import { Button } from "../ui/parts";
import { Card, Choice, Figures } from "./parts";
import { barsOf, type Bar } from "./series";
import type { Cut, Statistics } from "./types";
import { count, windowWords, withNoise } from "./words";

interface Props {
  cut: Cut;
  found: Statistics;
  picked: string | null;
  onPick: (id: string | null) => void;
}

type Of = "last" | "range";

const FEW = 10;

export function Breakdown({ cut, found, picked, onPick }: Props) {
  const [of, setOf] = useState<Of>("last");
  const [all, setAll] = useState(false);
  const bars = useMemo(() => barsOf(of === "last" ? found.releases.slice(-1) : found.releases), [found, of]);
  if (bars.length === 0 || found.dimensions.length === 0) return null;
  const last = found.releases.at(-1)!;
  const shown = all ? bars : bars.slice(0, FEW);
  const when =
    of === "last"
      ? windowWords(Date.parse(last.start) / 1000, Date.parse(last.end) / 1000)
      : `${found.releases.length} ${cut.window}s`;
  return (
    <Card
      title={`Breakdown, ${when}`}
      aside={
        <Choice
          label="Of which time"
          value={of}
          options={[
            ["last", `Last ${cut.window}`],
            ["range", "Whole range"],
          ]}
          onChange={setOf}
        />
      }
    >
      <ul class="bars">
        {shown.map((bar) => (
          <Line
            key={bar.id}
            bar={bar}
            most={mostOf(bars)}
            of={of === "range" ? found.releases.length : 1}
            pressed={bar.id === picked}
            onPick={() => onPick(bar.id === picked ? null : bar.id)}
          />
        ))}
      </ul>
      {bars.length > FEW && (
        <Button class="small" onClick={() => setAll(!all)}>
          {all ? `The ${FEW} greatest` : `All ${bars.length}`}
        </Button>
      )}
      <p class="hint">The thin line is the band that the truth lies in. Choose a bar to see it over time.</p>
      <Figures
        caption={`Breakdown, ${when}`}
        head={["What", "Number", "Half width", "Windows"]}
        rows={bars.map(({ label, value, half, windows }) => [label, count(value), count(half), windows])}
      />
    </Card>
  );
}

const mostOf = (bars: Bar[]) => 1.02 * Math.max(1, ...bars.map(({ value, half }) => value + half));

interface LineProps {
  bar: Bar;
  most: number;
  of: number;
  pressed: boolean;
  onPick: () => void;
}

// Units of the drawing, which is stretched to the width that there is.
const WIDE = 1000;

function Line({ bar, most, of, pressed, onPick }: LineProps) {
  const at = (value: number) => (Math.max(0, Math.min(value, most)) / most) * WIDE;
  const [low, high] = [at(bar.value - bar.half), at(bar.value + bar.half)];
  return (
    <li>
      <button type="button" aria-pressed={pressed} onClick={onPick}>
        <span class="bar-label">
          {bar.label}
          {bar.windows < of && <small class="muted"> in {bar.windows} of {of}</small>}
        </span>
        <span class="bar-value">{withNoise(bar.value, bar.half)}</span>
        <svg viewBox={`0 0 ${WIDE} 20`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
          <rect class="bar-ground" x="0" y="3" width={WIDE} height="14" />
          <rect class="bar-full" x="0" y="3" width={at(bar.value)} height="14" />
          <path class="bar-whisker" d={`M${low} 10H${high}M${low} 5V15M${high} 5V15`} vector-effect="non-scaling-stroke" />
        </svg>
      </button>
    </li>
  );
}
