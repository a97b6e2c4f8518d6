/** Each class of data with its oldest item against the limit; what is nearest to its end, or past it, comes first. */
import { Card } from "./parts";
import type { ClassState, PolicyDocument, Retention } from "./rights-api";
import { ago, count, span, title } from "./words";

interface Row {
  name: string;
  title: string;
  service: string;
  kept: string;
  count: string;
  /** of the way to its end, null where a class has no limit in time or nothing is held */
  share: number | null;
  said: string;
  tone: string;
  swept: string;
  fault: string;
}

export function Held({ state, text }: { state: Retention; text: PolicyDocument | null }) {
  const rows = state.classes.map((one) => rowOf(one, state, text)).sort(nearest);
  const timed = rows.filter((row) => row.share !== null || row.fault);
  const rest = rows.filter((row) => row.share === null && !row.fault);
  return (
    <Card title="What is held, against its limit">
      <p class="muted">The bar is the way of the oldest item to its end. When it is full, the item goes with the next sweep.</p>
      {rows.length === 0 && <p class="muted">Nothing was counted yet.</p>}
      <ul class="held">
        {timed.map((row) => (
          <Line key={row.name} row={row} />
        ))}
      </ul>
      {rest.length > 0 && (
        <details open={timed.length === 0}>
          <summary>{rest.length} more: nothing held, or kept until its owner deletes it</summary>
          <ul class="held">
            {rest.map((row) => (
              <Line key={row.name} row={row} />
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}

function rowOf(one: ClassState, state: Retention, text: PolicyDocument | null): Row {
  const known = text?.classes?.[one.data_class];
  const sweep = state.sweeps.find((found) => found.data_class === one.data_class);
  const swept = one.last_sweep ?? sweep?.at ?? null;
  const deleted = sweep && sweep.deleted > 0 ? `, ${count(sweep.deleted)} deleted` : "";
  return {
    name: one.data_class,
    title: known?.title ?? title(one.data_class),
    service: known?.service ?? sweep?.service ?? "",
    kept: known?.retention.text ?? "",
    count: `${one.at_least ? "over " : ""}${count(one.count)}`,
    ...against(one, known?.retention.rules ?? {}),
    swept: swept ? `swept ${ago(swept)}${deleted}` : "",
    fault: sweep?.fault ?? "",
  };
}

export function against(one: Pick<ClassState, "overdue" | "first_due">, rules: Record<string, number>, now = Date.now()): Pick<Row, "share" | "said" | "tone"> {
  if (one.overdue > 0) return { share: 1, said: `${span(one.overdue)} past its time`, tone: "bad" };
  const limit = Math.max(0, ...Object.entries(rules).map(([name, value]) => (name.endsWith("_seconds") ? value : 0)));
  if (!one.first_due || limit === 0) return { share: null, said: "", tone: "" };
  const left = Math.max(0, (Date.parse(one.first_due) - now) / 1000);
  return { share: Math.min(1, Math.max(0, 1 - left / limit)), said: `${span(left)} left of ${span(limit)}`, tone: "" };
}

const nearest = (a: Row, b: Row) =>
  Number(b.tone === "bad") - Number(a.tone === "bad") || (b.share ?? -1) - (a.share ?? -1) || a.title.localeCompare(b.title);

function Line({ row }: { row: Row }) {
  return (
    <li>
      <p>
        <strong>{row.title}</strong>
        <small class="muted">
          {row.service}
          {row.service && row.swept && " · "}
          {row.swept}
        </small>
      </p>
      <p class={`way ${row.tone}`}>
        {row.share === null ? (
          <small class="muted">{row.kept}</small>
        ) : (
          <>
            <svg class={`level ${row.tone}`} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">
              <rect class="bar-ground" width="100" height="10" />
              <rect class="bar-full" width={row.share * 100} height="10" />
            </svg>
            <small>{row.said}</small>
          </>
        )}
        {row.fault && <small class="field-error">The last sweep failed: {row.fault.replace(/_/g, " ")}</small>}
      </p>
      <p class="number">
        {row.count} <small class="muted">held</small>
      </p>
    </li>
  );
}
