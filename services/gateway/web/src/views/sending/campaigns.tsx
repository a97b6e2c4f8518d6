/** Opens and clicks: whether a campaign counts them, and how many there were, each number with the room it leaves. */
import { useState } from "preact/hooks";
import { relay, type Measuring, type Responses } from "../../api/relay";
import { toast } from "../../state/toast";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { bars, campaignsOf, dayOf, isCampaign, KINDS, said, sayDay, type Kind } from "./responses";

export function CampaignsSection() {
  const [name, setName] = useState("");
  const [shown, show] = useState("");
  const known = useLoad(async () => campaignsOf((await relay.events(null)).events));
  const asked = name.trim();
  return (
    <>
      <section class="card">
        <p>
          A campaign can count how many recipients open its mails and follow links in them. Nothing is counted until you
          switch it on, and nobody learns who it was: you get numbers, never names.
        </p>
        <form
          class="form inline"
          onSubmit={(event) => {
            event.preventDefault();
            show(asked);
          }}
        >
          <TextField
            label="Campaign"
            hint="The name that your mails are sent with"
            list="known-campaigns"
            autocomplete="off"
            maxLength={64}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <Button type="submit" look="primary" icon="search" disabled={!isCampaign(asked)}>
            Show
          </Button>
        </form>
        <datalist id="known-campaigns">
          {known.value?.map((one) => <option key={one} value={one} />)}
        </datalist>
      </section>
      {shown && <Campaign key={shown} name={shown} />}
    </>
  );
}

function Campaign({ name }: { name: string }) {
  const found = useLoad(() => relay.responses(name));
  if (found.error) return <Failure error={found.error} retry={found.reload} />;
  if (!found.value) return <Waiting />;
  return (
    <>
      <Switches name={name} now={found.value.measuring} />
      <Numbers name={name} found={found.value} />
    </>
  );
}

const SWITCHES: { kind: Kind; word: string; means: string }[] = [
  { kind: "opens", word: "Count opens", means: "An invisible picture in the mail tells that it was opened." },
  { kind: "clicks", word: "Count clicks", means: "Links lead over this service to where they lead." },
];

function Switches({ name, now }: { name: string; now: Measuring }) {
  const [measuring, setMeasuring] = useState(now);
  const { busy, error, run } = useAction();
  const change = (next: Measuring) =>
    run(async () => {
      setMeasuring(await relay.measure(name, next));
      toast("Saved, for mails that are sent from now on");
    });
  return (
    <section class="card">
      <h2>What “{name}” counts</h2>
      <div class="choices">
        {SWITCHES.map(({ kind, word, means }) => (
          <label class="check" key={kind}>
            <input
              type="checkbox"
              checked={measuring[kind]}
              disabled={busy}
              onChange={(event) => void change({ ...measuring, [kind]: event.currentTarget.checked })}
            />
            <span>
              {word}
              <small class="muted">{means}</small>
            </span>
          </label>
        ))}
      </div>
      {error && <Notice kind="error">{error}</Notice>}
      <p class="hint">
        Off by default. It holds for mail with HTML to recipients elsewhere. Each such mail ends with a line that says so,
        and a link by which its recipient is not counted any more, by any sender.
      </p>
    </section>
  );
}

function Numbers({ name, found }: { name: string; found: Responses }) {
  const any = found.days.some((day) => day.opens || day.clicks);
  return (
    <section class="card">
      <h2>How many</h2>
      {found.days.length === 0 && <p class="muted">Nothing was counted for “{name}” in the last month.</p>}
      {found.days.length > 0 && !any && (
        <p class="muted">Too few recipients responded on any one day to say a number that tells of nobody.</p>
      )}
      {any && <Chart found={found} />}
      {found.days.length > 0 && <Table found={found} />}
      <p class="hint">{found.noise} The width of a sum is that of its noise, drawn for each day by itself.</p>
    </section>
  );
}

const WIDTH = 600;
const HEIGHT = 72;
const FEWEST = 7;

function Chart({ found }: { found: Responses }) {
  return (
    <figure class="plot responses">
      {KINDS.map(({ kind, word }) => (
        <Row key={kind} kind={kind} word={word} found={found} />
      ))}
      <div class="plot-axis muted" aria-hidden="true">
        <span>{dayOf(found.days[0]!.day)}</span>
        {found.days.length >= FEWEST && <span>{dayOf(found.days.at(-1)!.day)}</span>}
      </div>
      <figcaption class="hint">
        Recipients a day (UTC), each row to its own scale. The line on a bar is where the true number lies.
      </figcaption>
    </figure>
  );
}

function Row({ kind, word, found }: { kind: Kind; word: string; found: Responses }) {
  const total = found[kind];
  const step = WIDTH / Math.max(FEWEST, found.days.length);
  const y = (share: number) => HEIGHT - 1 - share * (HEIGHT - 4);
  return (
    <div class="plot-row">
      <p>
        <strong>{word}</strong>
        <span class="muted">{total ? said(total) : "No number yet"}</span>
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
        {bars(found.days, kind).map((bar, i) => {
          const middle = (i + 0.5) * step;
          if (!bar) return null;
          return (
            <g key={i}>
              <title>{`${dayOf(found.days[i]!.day)}: ${sayDay(found.days[i]!, kind)}`}</title>
              <rect x={middle - step * 0.35} y={y(bar.high)} width={step * 0.7} height={HEIGHT - y(bar.high)} />
              <path d={`M${middle} ${y(bar.low)}V${y(bar.top)}M${middle - 4} ${y(bar.top)}h8M${middle - 4} ${y(bar.low)}h8`} />
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function Table({ found }: { found: Responses }) {
  return (
    <details>
      <summary>All days as a table</summary>
      <table class="by-day">
        <thead>
          <tr>
            <th scope="col">Day (UTC)</th>
            {KINDS.map(({ kind, word }) => (
              <th scope="col" key={kind}>
                {word}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {found.days.map((day) => (
            <tr key={day.day}>
              <th scope="row">{dayOf(day.day)}</th>
              {KINDS.map(({ kind }) => (
                <td key={kind}>{sayDay(day, kind)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
