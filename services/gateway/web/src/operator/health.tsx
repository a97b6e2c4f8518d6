/** How the services are: a sentence for all of them, and for each its figures of the last hour. */
import { Icon } from "../ui/icon";
import { Notice } from "../ui/parts";
import { operator } from "./api";
import { conditionOf, errorShare, newest, overall, seriesOf } from "./condition";
import { Answer, Figures } from "./parts";
import { Spark } from "./spark";
import type { Health, Series, ServiceHealth } from "./types";
import { useAsk } from "./use-ask";
import { measured, moment, title } from "./words";

const EVERY_MS = 15_000;

export function HealthSection() {
  const asked = useAsk(operator.health, "health", EVERY_MS);
  return <Answer asked={asked}>{(health) => <Shown health={health} late={Boolean(asked.error)} />}</Answer>;
}

function Shown({ health, late }: { health: Health; late: boolean }) {
  const all = overall(health);
  const times = health.times.map((time) => Date.parse(time) / 1000);
  const last = health.times.at(-1);
  return (
    <>
      <div class={`overall ${all.tone}`} role="status">
        <Icon name={all.tone === "good" ? "check" : "warning"} size={26} />
        <p>
          <strong>{all.text}</strong>
          {last && <small>As of {moment(last)}; the lines show the last hour.</small>}
        </p>
      </div>
      {late && <Notice kind="warning">What is shown is getting old: the server does not answer just now.</Notice>}
      <div class="services">
        {health.services.map((service) => (
          <Service key={service.service} service={service} times={times} />
        ))}
      </div>
    </>
  );
}

const SHOWN: { name: string; word: string; also?: string }[] = [
  { name: "requests", word: "Requests" },
  { name: "errors", word: "Errors" },
  { name: "p50", word: "Latency", also: "p99" },
  { name: "queue", word: "Queue" },
  { name: "saturation", word: "Saturation" },
  { name: "cpu", word: "Processor" },
  { name: "memory", word: "Memory" },
];

function Service({ service, times }: { service: ServiceHealth; times: number[] }) {
  const condition = conditionOf(service);
  const known = SHOWN.filter(({ name }) => seriesOf(service, name));
  const named = new Set(SHOWN.flatMap(({ name, also }) => [name, also]));
  const more = service.series.filter(({ name }) => !named.has(name)).map(({ name }) => ({ name, word: title(name) }));
  return (
    <section class="card service" aria-label={service.service}>
      <header class="card-head">
        <h2>{service.service}</h2>
        <span class={`badge ${condition.tone}`}>
          <Icon name={condition.tone === "good" ? "check" : "warning"} size={15} />
          {condition.word}
        </span>
      </header>
      <p class="muted">
        {service.up} of {service.expected} {service.expected === 1 ? "process answers" : "processes answer"}
      </p>
      <dl class="measures">
        {[...known, ...more].map((row) => (
          <Row key={row.name} service={service} times={times} {...row} />
        ))}
      </dl>
      <Figures
        caption={`${service.service}, last hour`}
        head={["Figure", "Now", "Least", "Most"]}
        rows={service.series.map(figures)}
      />
    </section>
  );
}

function Row({ service, times, name, word, also }: { service: ServiceHealth; times: number[]; name: string; word: string; also?: string }) {
  const series = seriesOf(service, name)!;
  const second = also ? seriesOf(service, also) : undefined;
  const lines = second ? [series.values, second.values] : [series.values];
  return (
    <div>
      <dt>{word}</dt>
      <dd>
        {measured(newest(series), series.unit)}
        {second && <span class="second"> p99 {measured(newest(second), second.unit)}</span>}
        {name === "errors" && <small> {measured(errorShare(service), "ratio")}</small>}
      </dd>
      <dd class="line">
        <Spark times={times} lines={lines} />
      </dd>
    </div>
  );
}

function figures({ name, unit, values }: Series): string[] {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return [title(name), "unknown", "unknown", "unknown"];
  return [title(name), ...[known.at(-1)!, Math.min(...known), Math.max(...known)].map((value) => measured(value, unit))];
}
