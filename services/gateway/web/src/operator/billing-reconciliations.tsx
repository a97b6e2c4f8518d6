/** Whether what was counted agrees with what the owners of the data hold: a table whose cells show the difference drawn. */
import { Icon } from "../ui/icon";
import { books, type Reconciliation } from "./billing-api";
import { Answer, Card } from "./parts";
import { compared, difference, differenceWords, meterTitle, type Compared } from "./reconciled";
import { useAsk } from "./use-ask";
import { count, utcDay } from "./words";

const DAYS = 31;

export function Reconciliations() {
  const asked = useAsk(() => books.reconciliations(DAYS), "reconciliations");
  return (
    <Card title="Counted against held">
      <p class="muted">Each day what was counted is compared with what its owner says, a month back.</p>
      <Answer asked={asked}>{(found) => <Shown found={compared(found)} />}</Answer>
    </Card>
  );
}

function Shown({ found }: { found: Compared }) {
  if (found.days.length === 0) return <p class="muted">Nothing was compared yet.</p>;
  const all = found.apart.length === 0;
  return (
    <>
      <p class={`overall ${all ? "good" : "bad"}`} role="status">
        <Icon name={all ? "check" : "warning"} />
        <strong>
          {all
            ? `All of ${found.days.length} days agree.`
            : `${found.apart.length} ${found.apart.length === 1 ? "comparison does" : "comparisons do"} not agree; the last on ${utcDay(found.apart[0]!.day)}.`}
        </strong>
      </p>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Table of what was counted and held">
        <table class="figures compared">
          <caption class="visually-hidden">Counted against held, by day and meter</caption>
          <thead>
            <tr>
              <th scope="col">Day</th>
              {found.meters.map((meter) => (
                <th scope="col" key={meter}>
                  {meterTitle(meter)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.days.map(({ day, cells }) => (
              <tr key={day}>
                <th scope="row">{utcDay(day)}</th>
                {cells.map((cell, i) => (
                  <td key={found.meters[i]}>{cell && <Cell one={cell} widest={found.widest.get(cell.meter) ?? 1} />}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** To the right too much was counted, to the left too little; where it agrees there is but the middle. */
function Cell({ one, widest }: { one: Reconciliation; widest: number }) {
  const off = difference(one);
  const width = (Math.abs(off) / widest) * 48;
  return (
    <div class={`compare ${off === 0 ? "" : "apart"}`}>
      <span>{count(one.counted)}</span>
      <svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect class="bar-ground" width="100" height="12" />
        <rect class="compare-middle" x="49.5" width="1" height="12" />
        {off !== 0 && <rect class="compare-off" x={off > 0 ? 50 : 50 - width} width={width} height="12" />}
      </svg>
      <small>
        {differenceWords(one)}
        {one.late > 0 && `, ${count(one.late)} late`}
      </small>
    </div>
  );
}
