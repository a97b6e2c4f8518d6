/** Concerns of users: those that wait come first, each as a thread that is answered here. */
import { useState } from "preact/hooks";
import { concernsAt, type Concern } from "../api/rights";
import { asSentence } from "../api/http";
import { toast } from "../state/toast";
import { Button, Empty } from "../ui/parts";
import { ABOUT, STATE, Thread } from "../ui/thread";
import { Answer, Card } from "./parts";
import { useAsk } from "./use-ask";
import { moment } from "./words";
import "../styles/rights.css";

const api = concernsAt("/v1/operator/concerns");
const EVERY_MS = 60_000;
const ORDER: Concern["state"][] = ["open", "answered", "closed"];
const TONE: Record<Concern["state"], string> = { open: "warning", answered: "", closed: "old" };

export function ConcernsSection() {
  const asked = useAsk(api.list, "concerns", EVERY_MS);
  return (
    <Answer asked={asked}>
      {(concerns) =>
        concerns.length === 0 ? (
          <Empty icon="check" title="Nobody has raised a concern" />
        ) : (
          <List concerns={concerns} onChange={(changed) => asked.set(concerns.map((one) => (one.id === changed.id ? changed : one)))} />
        )
      }
    </Answer>
  );
}

function List({ concerns, onChange }: { concerns: Concern[]; onChange: (changed: Concern) => void }) {
  const [shown, show] = useState<Concern | null>(null);
  const waiting = concerns.filter((one) => one.state === "open").length;
  const sorted = [...concerns].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.changed.localeCompare(a.changed));
  const open = (id: string) => {
    api
      .get(id)
      .then(show)
      .catch((error: unknown) => toast(asSentence(error), { kind: "error" }));
  };
  return (
    <Card title={waiting === 0 ? "None waits for an answer" : `${waiting} of ${concerns.length} wait for an answer`}>
      <ul class="items">
        {sorted.map((one) => (
          <li key={one.id}>
            <span>
              <strong>{ABOUT[one.about]}</strong> <span class={`badge ${TONE[one.state]}`}>{STATE[one.state]}</span>
              <small class="muted address">
                {one.address || "An account that is gone"} · {moment(one.changed)}
              </small>
            </span>
            <Button
              class="small"
              aria-expanded={shown?.id === one.id}
              aria-label={`${shown?.id === one.id ? "Hide" : "Show"} the concern of ${one.address || "an account that is gone"}`}
              onClick={() => (shown?.id === one.id ? show(null) : open(one.id))}
            >
              {shown?.id === one.id ? "Hide" : "Show"}
            </Button>
            {shown?.id === one.id && (
              <Thread
                concern={shown}
                staff
                at={api}
                onChange={(changed) => {
                  show(changed);
                  onChange(changed);
                }}
              />
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}
