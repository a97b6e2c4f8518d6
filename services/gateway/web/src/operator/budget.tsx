/** What the releases of each day have cost, against what a day may. */
import { useState } from "preact/hooks";
import { Empty } from "../ui/parts";
import { operator } from "./api";
import { Answer, Card, Figures } from "./parts";
import type { BudgetDay } from "./types";
import { useAsk } from "./use-ask";
import { amount, title, utcDay } from "./words";

const DAYS = 31;
const EVERY_MS = 300_000;

export function BudgetSection() {
  const asked = useAsk(() => operator.budget(DAYS), "budget", EVERY_MS);
  return <Answer asked={asked}>{(days) => <Shown days={days} />}</Answer>;
}

function Shown({ days }: { days: BudgetDay[] }) {
  const [chosen, choose] = useState("");
  const day = days.find((one) => one.day === chosen) ?? days[0];
  if (!day) return <Empty icon="clock" title="Nothing was released yet" />;
  return (
    <>
      <p class="lead muted">
        Every release tells a little about those who are counted. The budget bounds what all releases of a day can tell about
        any one of them; once it is spent, nothing more of that day is released.
      </p>
      <Card title={`${utcDay(day.day)} (UTC)`}>
        <div class="gauges">
          <Gauge sign="ε" spent={day.epsilon_spent} limit={day.epsilon_limit} />
          <Gauge sign="δ" spent={day.delta_spent} limit={day.delta_limit} />
        </div>
        <Debits day={day} />
      </Card>
      <Card title={`Last ${days.length} days`}>
        <ul class="day-bars">
          {days.map((one) => (
            <li key={one.day}>
              <button type="button" aria-pressed={one === day} onClick={() => choose(one.day)}>
                <span>{utcDay(one.day)}</span>
                <Level spent={one.epsilon_spent} limit={one.epsilon_limit} />
                <span class="number">
                  {amount(one.epsilon_spent)} <small class="muted">of {amount(one.epsilon_limit)}</small>
                </span>
              </button>
            </li>
          ))}
        </ul>
        <Figures
          caption="Budget by day"
          head={["Day (UTC)", "ε spent", "ε limit", "δ spent", "δ limit"]}
          rows={days.map((one) => [
            utcDay(one.day),
            amount(one.epsilon_spent),
            amount(one.epsilon_limit),
            amount(one.delta_spent),
            amount(one.delta_limit),
          ])}
        />
      </Card>
    </>
  );
}

const TURN = 2 * Math.PI * 52;

/** Three quarters of a circle, filled as far as it is spent. */
function Gauge({ sign, spent, limit }: { sign: string; spent: number; limit: number }) {
  const share = limit > 0 ? Math.min(1, spent / limit) : 0;
  const arc = TURN * 0.75;
  return (
    <div class={`gauge ${toneOf(share)}`} role="img" aria-label={`${sign}: ${amount(spent)} of ${amount(limit)} spent`}>
      <svg viewBox="0 0 120 104" aria-hidden="true" focusable="false">
        <circle class="gauge-ground" cx="60" cy="60" r="52" stroke-dasharray={`${arc} ${TURN}`} transform="rotate(135 60 60)" />
        {share > 0 && (
          <circle
            class="gauge-full"
            cx="60"
            cy="60"
            r="52"
            stroke-dasharray={`${arc * share} ${TURN}`}
            transform="rotate(135 60 60)"
          />
        )}
        <text x="60" y="62" class="gauge-number">
          {Math.round(share * 100)} %
        </text>
        <text x="60" y="82" class="gauge-sign">
          of {sign}
        </text>
      </svg>
      <p>
        {amount(spent)} <span class="muted">of {amount(limit)} spent</span>
      </p>
    </div>
  );
}

function Level({ spent, limit, plain = false }: { spent: number; limit: number; plain?: boolean }) {
  const share = limit > 0 ? Math.min(1, spent / limit) : 0;
  return (
    <svg class={`level ${plain ? "" : toneOf(share)}`} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <rect class="bar-ground" width="100" height="10" />
      <rect class="bar-full" width={share * 100} height="10" />
    </svg>
  );
}

const toneOf = (share: number) => (share >= 1 ? "bad" : share > 0.75 ? "warning" : "");

function Debits({ day }: { day: BudgetDay }) {
  const most = Math.max(...day.debits.map((one) => one.epsilon));
  const sorted = [...day.debits].sort((a, b) => b.epsilon - a.epsilon || a.metric.localeCompare(b.metric));
  if (sorted.length === 0) return <p class="muted">Nothing of this day was released yet.</p>;
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="What was spent, by cut">
      <table class="figures debits">
        <caption class="visually-hidden">What was spent, by cut</caption>
        <thead>
          <tr>
            <th scope="col">Cut</th>
            <th scope="col" aria-hidden="true" />
            <th scope="col">ε</th>
            <th scope="col">δ</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ metric, cut, epsilon, delta }) => (
            <tr key={`${metric}/${cut}`}>
              <th scope="row">
                {title(metric)} <span class="muted">{title(cut).toLowerCase()}</span>
              </th>
              <td class="wide">
                <Level spent={epsilon} limit={most} plain />
              </td>
              <td>{amount(epsilon)}</td>
              <td>{amount(delta)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
