/** The plans that there are: what each has, and one click that says before what it does and when. */
import { useState } from "preact/hooks";
import { billing as api } from "../../../api/billing";
import { above, included, offers, pay, type Offer } from "../../../state/billing";
import { account } from "../../../state/session";
import { toast } from "../../../state/toast";
import { Button, Notice } from "../../../ui/parts";
import { useAction } from "../../../ui/use-action";
import type { Billed } from "../billing";

export function PlansCard({ billed }: { billed: Billed }) {
  const { catalogue, standing, show, changed, paying } = billed;
  const { busy, error, run } = useAction();
  const [chosen, setChosen] = useState("");
  const all = offers({ standing, plans: catalogue.plans, show });
  if (catalogue.plans.length < 2) return null;
  const now = catalogue.plans.find((plan) => plan.name === standing.plan);
  const choose = ({ plan, current }: Offer) => {
    setChosen(plan.name);
    void run(async () => {
      // What costs more is paid at the provider's page first, where there is one.
      if (catalogue.provider === "stripe" && !current && plan.price > (now?.price ?? 0)) {
        paying(await pay(account.value?.id ?? "", { plan: plan.name }));
        return;
      }
      const back = plan.price === 0 && !current;
      const next = await (back ? api.cancel() : api.change(plan.name));
      changed(next);
      toast(next.next_plan ? "Planned" : current ? "Your plan stays" : `Your plan is ${plan.title} now`);
    });
  };
  return (
    <section class="card" aria-labelledby="plans">
      <h2 id="plans">Plans</h2>
      {error && <Notice kind="error">{error}</Notice>}
      <ul class="plans">
        {all.map((offer) => (
          <PlanTile key={offer.plan.name} offer={offer} show={show} busy={busy && chosen === offer.plan.name} onChoose={() => choose(offer)} />
        ))}
      </ul>
    </section>
  );
}

interface TileProps {
  offer: Offer;
  show: (amount: number) => string;
  busy: boolean;
  onChoose: () => void;
}

function PlanTile({ offer, show, busy, onChoose }: TileProps) {
  const { plan, current, planned, action, then, warning } = offer;
  const id = `plan-${plan.name}`;
  return (
    <li class={`plan ${current ? "current" : ""}`} aria-labelledby={id}>
      <h3 id={id}>
        {plan.title} {current && <span class="tag good">Yours</span>}
        {planned && <span class="tag">Planned</span>}
      </h3>
      <p class="plan-price">
        <strong>{show(plan.price)}</strong> <small>a month</small>
      </p>
      <p class="muted">{plan.help}</p>
      <ul class="has">
        {plan.allowances.map((allowance) => (
          <li key={allowance.meter}>
            {included(allowance)}
            {allowance.tiers.length > 0 && <small class="muted">{above(allowance, show)}</small>}
          </li>
        ))}
      </ul>
      <div class="plan-foot">
        {warning && <p class="near">{warning}</p>}
        {action && (
          <Button look={current || plan.price === 0 ? "plain" : "primary"} busy={busy} aria-describedby={`${id}-then`} onClick={onChoose}>
            {action}
          </Button>
        )}
        {then && (
          <p class="hint" id={`${id}-then`}>
            {then}
          </p>
        )}
      </div>
    </li>
  );
}
