/**
 * A bar for each day, drawn as SVG: attributes only, since the page is served without inline styles. What a pointer shows
 * by hovering, the arrow keys show too; the same numbers stand in a table beside it.
 */
import { useState } from "preact/hooks";
import { ceiling, type Series } from "../state/usage";
import { dayOf, shortDay } from "../state/billing";

const HEIGHT = 100;

interface Props {
  series: Series;
  label: string;
  show: (value: number) => string;
}

export function DayBars({ series, label, show }: Props) {
  const { days, values, total, most } = series;
  const [at, setAt] = useState<number | null>(null);
  const top = ceiling(most);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setAt(Math.min(days.length - 1, Math.max(0, (at ?? (step < 0 ? days.length : -1)) + step)));
  };
  const shown = at === null ? null : Math.min(at, days.length - 1);
  return (
    <figure class="day-plot">
      <p class="day-readout" aria-live="polite">
        {shown === null ? (
          <>
            <strong>{show(total)}</strong> in {days.length} days
          </>
        ) : (
          <>
            <strong>{show(values[shown] ?? 0)}</strong> on {dayOf(days[shown]!)}
          </>
        )}
      </p>
      <div class="day-area">
        <span class="day-top" aria-hidden="true">
          {show(top)}
        </span>
        <div
          role="group"
          aria-roledescription="chart"
          aria-label={`${label} by day. The arrow keys go from day to day.`}
          tabIndex={0}
          onKeyDown={move}
          onBlur={() => setAt(null)}
        >
          <svg viewBox={`0 0 ${days.length} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false" onPointerLeave={() => setAt(null)}>
            {days.map((day, i) => {
              const height = ((values[i] ?? 0) / top) * HEIGHT;
              return (
                <g key={day} class={i === shown ? "at" : ""} onPointerEnter={() => setAt(i)}>
                  <rect class="day-ground" x={i} width={1} height={HEIGHT} />
                  <rect class="day-bar" x={i + 0.14} width={0.72} y={HEIGHT - height} height={height} />
                </g>
              );
            })}
          </svg>
        </div>
        <p class="day-axis" aria-hidden="true">
          <span>{shortDay(days[0]!)}</span>
          <span>{shortDay(days[Math.floor(days.length / 2)]!)}</span>
          <span>{shortDay(days.at(-1)!)}</span>
        </p>
      </div>
    </figure>
  );
}
