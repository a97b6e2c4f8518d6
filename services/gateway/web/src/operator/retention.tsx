/** Retention: whether each class is within its limit, whether each promise was found to hold, canaries, clock, erasures. */
import { Icon } from "../ui/icon";
import { Button, Notice } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { toast } from "../state/toast";
import { Answer, Card } from "./parts";
import { Held } from "./retention-classes";
import { Promises } from "./retention-probes";
import { policy, retention, type Canary, type PolicyDocument, type Retention } from "./rights-api";
import { useAsk, type Asked } from "./use-ask";
import { count, span, title } from "./words";

const EVERY_MS = 30_000;

export function RetentionSection() {
  const asked = useAsk(retention.state, "retention", EVERY_MS);
  // Titles and limits; without them names and numbers still tell the story.
  const text = useAsk(policy.document, "document").value;
  return <Answer asked={asked}>{(state) => <Shown state={state} asked={asked} text={text} />}</Answer>;
}

interface Props {
  state: Retention;
  asked: Asked<Retention>;
  text: PolicyDocument | null;
}

function Shown({ state, asked, text }: Props) {
  const { tone, said } = overall(state);
  return (
    <>
      <div class={`overall ${tone}`} role="status">
        <Icon name={tone === "good" ? "check" : "warning"} size={26} />
        <p>
          <strong>{said}</strong>
          <small>
            Version {state.version} of the policy.{" "}
            {state.sweeps.length > 0 ? `Last round of sweeps ${round(state.last_round)}.` : "No round of sweeps yet."}
          </small>
        </p>
      </div>
      {Boolean(asked.error) && <Notice kind="warning">What is shown is getting old: the server does not answer just now.</Notice>}
      {state.clock_held && <Clock state={state} onConfirmed={asked.set} />}
      <Erasures state={state} />
      <Held state={state} text={text} />
      <Promises state={state} text={text} onLooked={asked.set} />
      <Canaries canaries={state.canaries} text={text} />
    </>
  );
}

const round = (seconds: number) => (seconds < 60 ? "just now" : `${span(seconds)} ago`);

function overall(state: Retention): { tone: string; said: string } {
  const late = state.classes.filter((one) => one.overdue > 0).length;
  const broken = state.probes.filter((one) => one.result === "fail").length;
  const missed = state.canaries.filter((one) => one.state === "missed" || one.state === "failed").length;
  const faults = [
    broken && `${broken} ${broken === 1 ? "promise does" : "promises do"} not hold`,
    late && `${late} ${late === 1 ? "class is" : "classes are"} past the limit`,
    missed && `${missed} ${missed === 1 ? "canary" : "canaries"} missed`,
  ].filter(Boolean);
  if (faults.length > 0) return { tone: "bad", said: `${faults.join(", ")}.` };
  if (state.clock_held) return { tone: "warning", said: "Nothing is deleted until the clock is confirmed." };
  if (state.replaying) return { tone: "warning", said: "Erasures are repeated after a restore." };
  return { tone: "good", said: "Everything is within its limits." };
}

function Clock({ state, onConfirmed }: { state: Retention; onConfirmed: (state: Retention) => void }) {
  const { busy, error, run } = useAction();
  const confirm = () =>
    run(async () => {
      onConfirmed(await retention.confirmClock());
      toast("The clock is confirmed. Sweeps go on.");
    });
  return (
    <Card title="The clock has moved">
      <p>
        It went {state.clock_moved < 0 ? "back" : "ahead"} by {span(Math.abs(state.clock_moved))}. Sweeps and erasures stand
        still, so that nothing is deleted early. It is now <strong>{new Date().toLocaleString([], { dateStyle: "long", timeStyle: "short" })}</strong>{" "}
        by your device: confirm only if the server's clock is right.
      </p>
      {error && <Notice kind="error">{error}</Notice>}
      <Button look="primary" class="small" busy={busy} onClick={() => void confirm()}>
        The clock is right
      </Button>
    </Card>
  );
}

function Erasures({ state }: { state: Retention }) {
  return (
    <Card title="Erasures">
      <dl class="tiles">
        <div>
          <dt>Waiting</dt>
          <dd>{count(state.erasures_waiting)}</dd>
        </div>
        <div>
          <dt>Running</dt>
          <dd>{count(state.erasures_running)}</dd>
        </div>
      </dl>
      {state.replaying && <p class="hint">After a restore all that were done before are done again.</p>}
    </Card>
  );
}

const STATES: [Canary["state"][], string][] = [
  [["waiting"], "Waiting"],
  [["gone"], "Gone in time"],
  [["missed", "failed"], "Missed"],
];

function Canaries({ canaries, text }: { canaries: Canary[]; text: PolicyDocument | null }) {
  const names = [...new Set(canaries.map((one) => one.data_class))].sort();
  return (
    <Card title="Canaries">
      <p class="muted">Made-up items that came in by the ordinary doors, and have to be gone when their time is over.</p>
      {names.length === 0 ? (
        <p class="muted">None was planted yet.</p>
      ) : (
        <table class="figures">
          <caption class="visually-hidden">Canaries by class</caption>
          <thead>
            <tr>
              <th scope="col">Class</th>
              {STATES.map(([, word]) => (
                <th scope="col" key={word}>
                  {word}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {names.map((name) => (
              <tr key={name}>
                <th scope="row">{text?.classes?.[name]?.title ?? title(name)}</th>
                {STATES.map(([states, word]) => {
                  const found = canaries.filter((one) => one.data_class === name && states.includes(one.state)).length;
                  return (
                    <td key={word} class={word === "Missed" && found > 0 ? "missed" : ""}>
                      {count(found)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
