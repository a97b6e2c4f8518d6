/**
 * What was delivered, deferred and bounced, day by day. Three small plots under each other, each to its own scale: in one
 * stack, the few that bounce would be a hair on top of the many that arrive, and told apart by colour alone.
 */
import { kindOf, type Day } from "./events";

const TYPES = ["delivered", "deferred", "bounced"] as const;
// Units of the drawing, which is stretched to the width that there is.
const WIDTH = 600;
const HEIGHT = 48;
// One day is not drawn as wide as the page.
const FEWEST = 7;

export function Plot({ days }: { days: Day[] }) {
  if (days.length === 0) return null;
  return (
    <figure class="plot">
      {TYPES.map((type) => (
        <Row key={type} type={type} days={days} />
      ))}
      <div class="plot-axis muted" aria-hidden="true">
        <span>{short(days[0]!.date)}</span>
        {days.length > 1 && <span>{short(days.at(-1)!.date)}</span>}
      </div>
      <figcaption class="hint">Recipients a day, of the events that are loaded; each row to its own scale.</figcaption>
      <Table days={days} />
    </figure>
  );
}

const short = (date: Date) => date.toLocaleDateString([], { day: "numeric", month: "short" });
const of = (day: Day, type: string) => day.counts[type] ?? 0;

function Row({ type, days }: { type: string; days: Day[] }) {
  const most = Math.max(...days.map((day) => of(day, type)));
  const sum = days.reduce((all, day) => all + of(day, type), 0);
  const step = WIDTH / Math.max(FEWEST, days.length);
  return (
    <div class={`plot-row ${kindOf(type).tone}`}>
      <p>
        <strong>{kindOf(type).word}</strong>
        <span class="muted">
          {sum.toLocaleString()}
          {most > 0 && most < sum && `, at most ${most.toLocaleString()} a day`}
        </span>
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
        {days.map((day, i) => {
          const high = most > 0 ? (of(day, type) / most) * (HEIGHT - 4) : 0;
          return (
            <rect key={i} x={i * step + step * 0.1} y={HEIGHT - high} width={step * 0.8} height={high}>
              <title>{`${short(day.date)}: ${of(day, type).toLocaleString()}`}</title>
            </rect>
          );
        })}
      </svg>
    </div>
  );
}

/** The same figures for those who do not see the plot. */
function Table({ days }: { days: Day[] }) {
  return (
    <table class="visually-hidden">
      <caption>Recipients a day</caption>
      <thead>
        <tr>
          <th scope="col">Day</th>
          {TYPES.map((type) => (
            <th scope="col" key={type}>
              {kindOf(type).word}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {days.map((day) => (
          <tr key={day.date.getTime()}>
            <th scope="row">{day.date.toLocaleDateString()}</th>
            {TYPES.map((type) => (
              <td key={type}>{of(day, type).toLocaleString()}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
