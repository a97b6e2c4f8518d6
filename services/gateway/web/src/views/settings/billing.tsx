/** Plan and usage: what the plan has and what of it is used, plans to choose, credits, invoices, who pays, and the days. */
import { useEffect, useState } from "preact/hooks";
import { billing as api, type Catalogue, type Payment, type Standing } from "../../api/billing";
import { money } from "../../lib/money";
import { dayOf, owed, returnedWords, stateWords } from "../../state/billing";
import { Button, Failure, Notice, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { Allowances } from "./billing/allowances";
import { CreditsCard } from "./billing/credits";
import { DetailsCard } from "./billing/details";
import { InvoicesCard } from "./billing/invoices";
import { PaymentDialog } from "./billing/payment";
import { PlansCard } from "./billing/plans";
import { StatementCard } from "./billing/statement";
import "../../styles/billing.css";

export interface Billed {
  catalogue: Catalogue;
  standing: Standing;
  show: (amount: number) => string;
  /** a new standing, where it is known already, or asks for it */
  changed: (standing?: Standing) => void;
  /** shows how to pay, or goes where one pays */
  paying: (payment: Payment) => void;
}

export default function BillingSection() {
  const { value: catalogue, error, reload } = useLoad(api.catalogue);
  const standing = useLoad(api.standing);
  const [payment, setPayment] = useState<Payment | null>(null);
  if (error || standing.error) {
    const again = () => (reload(), standing.reload());
    return <Failure error={error ?? standing.error} retry={again} />;
  }
  if (!catalogue || !standing.value) return <Waiting />;
  const billed: Billed = {
    catalogue,
    standing: standing.value,
    show: (amount) => money(amount, catalogue.currency, catalogue.digits),
    changed: (next) => (next ? standing.set(next) : standing.reload()),
    paying: (next) => (next.url && next.state === "waiting" ? location.assign(next.url) : setPayment(next)),
  };
  return (
    <>
      <Returned billed={billed} />
      <PlanCard billed={billed} />
      <PlansCard billed={billed} />
      <CreditsCard billed={billed} />
      <InvoicesCard billed={billed} />
      <StatementCard billed={billed} />
      <DetailsCard />
      {payment && <PaymentDialog payment={payment} onClose={() => setPayment(null)} />}
    </>
  );
}

const ASKED_MS = 3_000;
const MOST_ASKED = 20;

/** What has become of a payment that was made at the provider's page, which sends the browser back here. */
function Returned({ billed }: { billed: Billed }) {
  const [id] = useState(() => new URLSearchParams(location.search).get("payment") ?? "");
  const [payment, setPayment] = useState<Payment | null>(null);
  useEffect(() => {
    if (!id) return;
    // Told once; who comes to this path again later has nothing to do with it.
    history.replaceState(null, "", location.pathname);
    let [asked, timer] = [0, 0];
    const ask = async () => {
      const found = await api.payment(id).catch(() => null);
      setPayment(found);
      if (found?.state === "paid") billed.changed();
      else if (found?.state === "waiting" && ++asked < MOST_ASKED) timer = window.setTimeout(() => void ask(), ASKED_MS);
    };
    void ask();
    return () => clearTimeout(timer);
  }, []);
  if (!payment) return null;
  const { tone, words } = returnedWords(payment);
  return (
    <div role="status">
      <Notice kind={tone}>{words}</Notice>
    </div>
  );
}

function PlanCard({ billed }: { billed: Billed }) {
  const { catalogue, standing, show } = billed;
  const plan = catalogue.plans.find((one) => one.name === standing.plan);
  const { badge, tone } = stateWords(standing);
  const told = owed(standing, show, Date.now());
  return (
    <section class="card" aria-labelledby="plan-now">
      <header class="plan-head">
        <div>
          <p class="muted">Your plan</p>
          <h2 id="plan-now">
            {plan?.title ?? standing.plan} {badge && <span class={`tag ${tone}`}>{badge}</span>}
          </h2>
        </div>
        <p class="plan-price">
          <strong>{show(plan?.price ?? 0)}</strong> <small>a month{plan && plan.price > 0 && " before tax"}</small>
        </p>
      </header>
      {told && (
        <Notice kind={told.tone}>
          <strong>{told.title}.</strong> {told.words} {standing.due > 0 && <a href="#invoices" target="_self">See invoices</a>}
        </Notice>
      )}
      {standing.coming.map(({ plan: name, since, changes }) => (
        <Notice kind="info" key={`${name} ${since}`}>
          <p>
            <strong>
              {catalogue.plans.find((one) => one.name === name)?.title ?? name} changes on {dayOf(since)} at the earliest.
            </strong>{" "}
            Until then you can choose another plan, and nothing changes for you before.
          </p>
          <ul>
            {changes.map((change) => (
              <li key={change}>{capital(change)}</li>
            ))}
          </ul>
        </Notice>
      ))}
      <Allowances billed={billed} />
      {standing.accruing > 0 && (
        <p class="accruing">
          <span>This month so far, before tax</span> <strong>{show(standing.accruing)}</strong>
        </p>
      )}
      {catalogue.provider === "stripe" && <Portal />}
    </section>
  );
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function Portal() {
  const { busy, error, run } = useAction();
  return (
    <div class="portal">
      {error && <Notice kind="error">{error}</Notice>}
      <Button busy={busy} onClick={() => void run(async () => location.assign(await api.portal()))}>
        Cards and standing orders
      </Button>
      <p class="hint">At the provider of payments. No card is ever seen or kept here.</p>
    </div>
  );
}
