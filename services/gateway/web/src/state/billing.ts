/** Plans, usage and payments in words: what stands, what a click does and when, and what is due until when. */
import { billing as api, type Allowance, type Entry, type Payment, type Plan, type Standing, type What } from "../api/billing";
import { bytes, longDay } from "../lib/format";

export const PER: Record<Allowance["per"], string> = { day: "today", month: "this month", level: "" };

/** "1.2 GB", "1,234": of what a meter counts */
export function units(count: number, allowance: Pick<Allowance, "meter">): string {
  return allowance.meter.endsWith("_bytes") ? bytes(count) : count.toLocaleString();
}

/** What a plan includes, in a line: "500 mails sent a day". */
export function included(allowance: Allowance): string {
  const what = allowance.title.charAt(0).toLowerCase() + allowance.title.slice(1);
  // API keeps its capitals.
  const name = /^[A-Z]{2}/.test(allowance.title) ? allowance.title : what;
  if (allowance.included === null) return `${allowance.title} without limit`;
  const per = allowance.per === "day" ? " a day" : allowance.per === "month" ? " a month" : "";
  const one = allowance.included === 1 && allowance.unit ? allowance.unit : name;
  return `${units(allowance.included, allowance)} ${allowance.meter.endsWith("_bytes") ? name : one}${per}`;
}

/** What each unit above costs; "" where there is nothing above. */
export function above(allowance: Allowance, show: (amount: number) => string): string {
  const first = allowance.tiers[0];
  if (!first) return "";
  const lot = first.per_units === 1 ? `each ${allowance.unit || "unit"}` : `each begun ${first.per_units.toLocaleString()}`;
  return `More: ${show(first.price)} for ${lot}${allowance.tiers.length > 1 ? ", less for many" : ""}`;
}

/** Tax is the country's of who pays; a month of a plan that ends before it is billed by its days. */
export interface Offer {
  plan: Plan;
  current: boolean;
  planned: boolean;
  /** of the button; "" for none */
  action: string;
  /** what the button does, and when */
  then: string;
  /** what is held beyond the plan */
  warning: string;
}

interface Around {
  standing: Standing;
  plans: Plan[];
  show: (amount: number) => string;
}

export function offers({ standing, plans, show }: Around): Offer[] {
  const now = plans.find((plan) => plan.name === standing.plan);
  const planned = plans.find((plan) => plan.name === standing.next_plan);
  return plans.map((plan) => {
    const current = plan.name === standing.plan;
    const made = { plan, current, planned: plan.name === standing.next_plan, action: "", then: "", warning: "" };
    if (current) {
      if (!planned) return made;
      return { ...made, action: `Keep ${plan.title}`, then: `Takes the change to ${planned.title} back.` };
    }
    const when = standing.next_plan_at ? `On ${longDay(new Date(standing.next_plan_at))}` : "Then";
    if (made.planned) return { ...made, then: `${when} your plan becomes this one. Until then all stays as it is.`, warning: beyond(plan, standing) };
    const less = plan.price < (now?.price ?? 0);
    const action = less && plan.price === 0 ? `Cancel, back to ${plan.title}` : `Choose ${plan.title}`;
    const warning = beyond(plan, standing);
    // In a trial nothing is paid for that would have to be used up first.
    if (!less || standing.state === "trial") return { ...made, action, then: atOnce(plan, standing, show), warning };
    return {
      ...made,
      action,
      then: `From the first of next month on. Until then you keep ${now?.title ?? "what you have"}.`,
      warning,
    };
  });
}

function atOnce(plan: Plan, standing: Standing, show: (amount: number) => string): string {
  const price = `${show(plan.price)} a month before tax`;
  if (plan.price === 0) return standing.state === "trial" ? "At once. Your trial ends, and nothing is to be paid." : "At once; it costs nothing.";
  if (standing.state === "trial")
    return `At once. Your trial goes on${standing.state_until ? ` until ${longDay(new Date(standing.state_until))}` : ""}, then ${price}.`;
  // One trial in the life of an account; who had one pays from the first day.
  if (plan.trial_days > 0 && standing.state === "free")
    return `At once. Your first trial is free for ${plan.trial_days} days, then ${price}.`;
  return `At once; ${price}, this month by its days.`;
}

/** What is held at a time and would not fit. */
export function beyond(plan: Plan, standing: Standing): string {
  for (const { allowance, used } of standing.used) {
    const offered = plan.allowances.find((one) => one.meter === allowance.meter)?.included;
    if (allowance.per !== "level" || offered == null || used <= offered) continue;
    const what = allowance.meter === "storage_bytes" ? "new mail is turned away until there is room" : "no more can be added";
    return `You hold ${units(used, allowance)}, and this plan has ${units(offered, allowance)}. Nothing is deleted, but ${what}.`;
  }
  return "";
}

export interface Told {
  tone: "info" | "warning" | "error" | "good";
  title: string;
  words: string;
}

/** What is due, kindly; null where nothing is. */
export function owed(standing: Standing, show: (amount: number) => string, now: number): Told | null {
  const until = standing.state_until ? longDay(new Date(standing.state_until)) : "";
  if (standing.state === "read_only")
    return {
      tone: "warning",
      title: `${show(standing.due)} is unpaid, and sending is paused`,
      words:
        "Mail still comes in, you can read and take along all of it, and nothing is deleted. As soon as the payment is here, everything works again.",
    };
  if (standing.state === "grace")
    return {
      tone: "warning",
      title: `${show(standing.due)} was due${standing.due_at ? ` on ${dayOf(standing.due_at)}` : ""}`,
      words: `It may just have been forgotten. Everything works${until ? ` until ${until}` : ""}; after that nothing can be sent until it is paid. Mail comes in all the time, and nothing is deleted.`,
    };
  if (standing.due <= 0) return null;
  const late = standing.due_at !== null && Date.parse(standing.due_at) + 86_400_000 <= now;
  return {
    tone: "info",
    title: `${show(standing.due)} to pay${standing.due_at && !late ? ` until ${dayOf(standing.due_at)}` : ""}`,
    words: "If you have paid already, there is nothing to do: a transfer takes a day or two.",
  };
}

/** A day of UTC, whatever the zone of the reader. */
export function dayOf(day: string): string {
  return new Date(day).toLocaleDateString([], { timeZone: "UTC", day: "numeric", month: "long", year: "numeric" });
}

export const shortDay = (day: string) =>
  new Date(day).toLocaleDateString([], { timeZone: "UTC", day: "numeric", month: "short" });

export function stateWords(standing: Standing): { badge: string; tone: string } {
  switch (standing.state) {
    case "trial":
      return { badge: standing.state_until ? `Free until ${longDay(new Date(standing.state_until))}` : "Trial", tone: "good" };
    case "grace":
      return { badge: "Payment is late", tone: "warning" };
    case "read_only":
      return { badge: "Read only", tone: "warning" };
    default:
      return { badge: "", tone: "" };
  }
}

/** Of a payment at the provider's page. */
export function returnedWords({ state }: Pick<Payment, "state">): { tone: "good" | "info" | "warning"; words: string } {
  if (state === "paid") return { tone: "good", words: "Thank you, your payment is here." };
  if (state === "waiting")
    return { tone: "info", words: "Your payment is not confirmed yet. That can take a moment; it is written here as soon as it is." };
  return { tone: "warning", words: "This payment was not completed, and nothing was taken. You can start it again." };
}

const KINDS: Record<string, string> = {
  credits_bought: "Credits bought",
  held: "Put aside for a job",
  captured: "Paid for a job",
  released: "Given back from a job",
  invoiced: "Invoice",
  paid: "Payment",
  prepaid: "Paid ahead",
  settled: "Invoice paid from what was paid ahead",
  refunded: "Refund",
  reversed: "Taken back",
  credit_note: "Credit note",
  disputed: "Payment disputed",
  dispute_won: "Dispute settled",
  written_off: "Waived",
  carried: "Brought forward",
};

export function entryWords({ kind }: Pick<Entry, "kind">): string {
  const plain = kind.replace(/_/g, " ");
  return KINDS[kind] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
}

const MOST_TRIES = 60;

/**
 * Starts a payment, or finds the one that waits already: the id is made of what is paid, so asking twice is one payment,
 * here and on another device, and nothing has to be remembered. What is over makes room for the next.
 *
 * @throws ApiError
 */
export async function pay(accountId: string, what: What, now = new Date(), start = api.pay): Promise<Payment> {
  const about = Object.entries(what).flat().join("/");
  for (let turn = 0; ; turn++) {
    const id = await requestId(`${accountId}/${about}/${now.toISOString().slice(0, 7)}/${turn}`);
    const payment = await start(id, what);
    if (payment.state === "waiting" || turn >= MOST_TRIES) return payment;
  }
}

/** 32 hexadecimal digits */
export async function requestId(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
