/** Credits: what is there, buying more, and what happened to them and to what is due. */
import { useState } from "preact/hooks";
import { billing as api, type Entry } from "../../../api/billing";
import { entryWords, pay } from "../../../state/billing";
import { account } from "../../../state/session";
import { Button, Failure, Notice, Waiting } from "../../../ui/parts";
import { useAction } from "../../../ui/use-action";
import { useLoad } from "../../../ui/use-load";
import type { Billed } from "../billing";

export function CreditsCard({ billed }: { billed: Billed }) {
  const { catalogue, standing, show, paying } = billed;
  const { busy, error, run } = useAction();
  const [chosen, setChosen] = useState(0);
  const buy = (credits: number) => {
    setChosen(credits);
    void run(async () => paying(await pay(account.value?.id ?? "", { credits })));
  };
  const held = standing.credits_held;
  return (
    <section class="card" aria-labelledby="credits">
      <header class="plan-head">
        <div>
          <h2 id="credits">Credits</h2>
          <p class="muted">Paid ahead, for jobs such as printed mail.</p>
        </div>
        <p class="plan-price">
          <strong>{show(standing.credits)}</strong>
          {held > 0 && <small> and {show(held)} put aside for jobs</small>}
        </p>
      </header>
      {error && <Notice kind="error">{error}</Notice>}
      {catalogue.credit_packs.length > 0 && (
        <>
          <div class="row" role="group" aria-label="Buy credits">
            {catalogue.credit_packs.map((pack) => (
              <Button key={pack} busy={busy && chosen === pack} disabled={busy} onClick={() => buy(pack)}>
                Buy {show(pack)}
              </Button>
            ))}
          </div>
          <p class="hint">
            Tax is added by the country of who pays.{" "}
            {catalogue.provider === "manual"
              ? "You are shown where to transfer it to; the credits are here once it has come."
              : "You pay at the page of the provider of payments and come back here."}
          </p>
        </>
      )}
      <Book show={show} />
    </section>
  );
}

function Book({ show }: { show: Billed["show"] }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="fold" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>What happened to credits and bills</summary>
      {open && <Entries show={show} />}
    </details>
  );
}

function Entries({ show }: { show: Billed["show"] }) {
  const [more, setMore] = useState<Entry[]>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const { value, error, reload } = useLoad(() => api.entries(null));
  const { busy, error: failed, run } = useAction();
  if (!value) return error ? <Failure error={error} retry={reload} /> : <Waiting />;
  const entries = [...value.rows, ...more];
  const cursor = next === undefined ? value.next : next;
  const load = async () => {
    const page = await api.entries(cursor);
    setMore([...more, ...page.rows]);
    setNext(page.next);
  };
  if (entries.length === 0) return <p class="muted">Nothing yet.</p>;
  return (
    <>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Book">
        <table class="figures book">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Credits</th>
              <th scope="col">To pay</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={`${entry.at}${entry.kind}${entry.reference}`}>
                <th scope="row">
                  {entryWords(entry)}
                  <small class="muted">{shortMoment(entry.at)}</small>
                </th>
                <td>{signed(entry.credits, show)}</td>
                <td>{signed(entry.due, show)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {failed && <Notice kind="error">{failed}</Notice>}
      {cursor && (
        <Button busy={busy} onClick={() => void run(load)}>
          Show more
        </Button>
      )}
    </>
  );
}

const shortMoment = (at: string) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

const signed = (amount: number, show: Billed["show"]) =>
  amount === 0 ? "" : `${amount > 0 ? "+" : "−"}${show(Math.abs(amount))}`;
