/** Concerns: raised here, answered by the operator, until both are content. */
import { useState } from "preact/hooks";
import { concernsAt, type About, type Concern } from "../../api/rights";
import { longTime } from "../../lib/format";
import { toast } from "../../state/toast";
import { Button, Failure, Notice, Waiting } from "../../ui/parts";
import { TextArea } from "../../ui/text-area";
import { ABOUT, STATE, Thread } from "../../ui/thread";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import "../../styles/rights.css";

const api = concernsAt("/v1/concerns");

export function ConcernsSection() {
  const { value: concerns, error, reload, set } = useLoad(api.list);
  const [shown, show] = useState<Concern | null>(null);
  const changed = (one: Concern) => {
    show(one);
    set((concerns ?? []).map((known) => (known.id === one.id ? one : known)));
  };
  return (
    <>
      <section class="card">
        <h2>Your concerns</h2>
        {error ? (
          <Failure error={error} retry={reload} />
        ) : !concerns ? (
          <Waiting />
        ) : concerns.length === 0 ? (
          <p class="muted">You have raised none.</p>
        ) : (
          <ul class="items">
            {concerns.map((one) => (
              <li key={one.id}>
                <div>
                  <strong>{ABOUT[one.about]}</strong> <span class={`standing ${one.state === "answered" ? "good" : ""}`}>{STATE[one.state]}</span>
                  <small class="muted">{longTime(new Date(one.changed))}</small>
                </div>
                <Button
                  aria-expanded={shown?.id === one.id}
                  onClick={() => (shown?.id === one.id ? show(null) : void api.get(one.id).then(show))}
                >
                  {shown?.id === one.id ? "Hide" : "Show"}
                </Button>
                {shown?.id === one.id && <Thread concern={shown} at={api} onChange={changed} />}
              </li>
            ))}
          </ul>
        )}
      </section>
      <NewConcern
        onRaised={(one) => {
          set([one, ...(concerns ?? [])]);
          show(one);
        }}
      />
    </>
  );
}

function NewConcern({ onRaised }: { onRaised: (one: Concern) => void }) {
  const [about, setAbout] = useState<About>("correction");
  const [text, setText] = useState("");
  const { busy, error, submit } = useAction();
  const raise = async () => {
    onRaised(await api.open(about, text.trim()));
    setText("");
    toast("The operator has it");
  };
  return (
    <section class="card">
      <h2>Raise a concern</h2>
      <p>About what is held about you or how it is used. The operator reads it and answers here; it is kept sealed.</p>
      <form class="form" onSubmit={submit(raise)}>
        {error && <Notice kind="error">{error}</Notice>}
        <div class="field">
          <label for="about">What is it about?</label>
          <div class="input select">
            <select id="about" value={about} onChange={(event) => setAbout(event.currentTarget.value as About)}>
              {Object.entries(ABOUT).map(([word, said]) => (
                <option key={word} value={word}>
                  {said}
                </option>
              ))}
            </select>
          </div>
        </div>
        <TextArea label="Your concern" value={text} most={5000} onInput={setText} />
        <Button type="submit" look="primary" busy={busy} disabled={!text.trim()}>
          Raise it
        </Button>
      </form>
    </section>
  );
}
