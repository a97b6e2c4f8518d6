/** Each promise with what its probe found last; what does not hold comes first, and one may look again now. */
import { useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { toast } from "../state/toast";
import { Button } from "../ui/parts";
import { Card } from "./parts";
import { retention, type PolicyDocument, type Probe, type Retention } from "./rights-api";
import { ago } from "./words";

const RESULT: Record<Probe["result"], { word: string; tone: string; rank: number }> = {
  fail: { word: "Does not hold", tone: "bad", rank: 0 },
  unknown: { word: "Unknown", tone: "warning", rank: 1 },
  pass: { word: "Holds", tone: "", rank: 2 },
  pending: { word: "Pending", tone: "old", rank: 3 },
};

interface Props {
  state: Retention;
  text: PolicyDocument | null;
  onLooked: (state: Retention) => void;
}

export function Promises({ state, text, onLooked }: Props) {
  const [looking, setLooking] = useState<string | null>(null);
  const titles = new Map((text?.clauses ?? []).map((clause) => [clause.id, clause.title]));
  const sorted = [...state.probes].sort(
    (a, b) => RESULT[a.result].rank - RESULT[b.result].rank || a.clause.localeCompare(b.clause, "en", { numeric: true }),
  );
  const look = async (clause: string) => {
    setLooking(clause);
    try {
      onLooked(await retention.look(clause));
      toast(clause ? `Looked at ${clause}` : "Looked at all of them");
    } catch (error) {
      toast(asSentence(error), { kind: "error" });
    } finally {
      setLooking(null);
    }
  };
  const passing = state.probes.filter((one) => one.result === "pass").length;
  const standing = state.probes.filter((one) => one.result !== "pending").length;
  return (
    <Card
      title={`${passing} of ${standing} promises hold`}
      aside={
        <Button class="small" busy={looking === ""} disabled={looking !== null} onClick={() => void look("")}>
          Look at all now
        </Button>
      }
    >
      <ul class="probes">
        {sorted.map((one) => (
          <li key={one.clause}>
            <span class={`badge ${RESULT[one.result].tone}`}>{RESULT[one.result].word}</span>
            <p>
              <a href={`/privacy#${one.clause}`} target="_blank" rel="noreferrer">
                {one.clause}
              </a>{" "}
              {titles.get(one.clause)}
              <small class="muted">
                {one.at ? ago(one.at) : "not looked at yet"}
                {one.detail && ` · ${one.detail.replace(/_/g, " ")}`}
              </small>
            </p>
            {one.result !== "pending" && (
              <Button
                class="small"
                look="quiet"
                busy={looking === one.clause}
                disabled={looking !== null}
                aria-label={`Look now at ${one.clause}`}
                onClick={() => void look(one.clause)}
              >
                Look now
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}
