/** What was used, by day: plotted, and as a table. */
import { useState } from "preact/hooks";
import { billing as api } from "../../../api/billing";
import { serverNow } from "../../../api/http";
import { dayOf, units } from "../../../state/billing";
import { lastDays, metersOf, series } from "../../../state/usage";
import { DayBars } from "../../../ui/day-bars";
import { Failure, Waiting } from "../../../ui/parts";
import { useLoad } from "../../../ui/use-load";
import type { Billed } from "../billing";

const RANGES: [number, string][] = [
  [31, "31 days"],
  [92, "3 months"],
  [366, "A year"],
];

export function StatementCard({ billed }: { billed: Billed }) {
  const [range, setRange] = useState(31);
  return (
    <section class="card" aria-labelledby="statement">
      <header class="plan-head">
        <h2 id="statement">Usage by day</h2>
        <fieldset class="segments">
          <legend class="visually-hidden">How long back</legend>
          {RANGES.map(([days, word]) => (
            <label key={days}>
              <input type="radio" name="range" checked={days === range} onChange={() => setRange(days)} />
              <span>{word}</span>
            </label>
          ))}
        </fieldset>
      </header>
      <Plots key={range} range={range} billed={billed} />
    </section>
  );
}

function Plots({ range, billed }: { range: number; billed: Billed }) {
  const [days] = useState(() => lastDays(range, serverNow()));
  const { value, error, reload } = useLoad(() => api.usage(days[0]!, days.at(-1)!));
  if (!value) return error ? <Failure error={error} retry={reload} /> : <Waiting />;
  const meters = metersOf(
    value,
    billed.standing.used.map((one) => one.allowance),
  );
  const plotted = meters.map(([meter, title]) => ({ meter, title, series: series(days, value, meter) }));
  const some = plotted.filter((one) => one.series.total > 0);
  if (some.length === 0) return <p class="muted">Nothing was used in this time.</p>;
  return (
    <>
      <div class="plots">
        {some.map(({ meter, title, series: found }) => (
          <div key={meter}>
            <h3>{title}</h3>
            <DayBars series={found} label={title} show={(count) => units(count, { meter })} />
          </div>
        ))}
      </div>
      <details class="fold">
        <summary>Show as a table</summary>
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Table of usage by day">
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">Day</th>
                {some.map(({ meter, title }) => (
                  <th scope="col" key={meter}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {days.toReversed().map((day, i) => (
                <tr key={day}>
                  <th scope="row">{dayOf(day)}</th>
                  {some.map(({ meter, series: found }) => (
                    <td key={meter}>{units(found.values[days.length - 1 - i] ?? 0, { meter })}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
      <p class="hint">Days begin at midnight UTC. Only counts are kept, nothing of what was sent or to whom.</p>
    </>
  );
}
