/** How sending goes, for each recipient; and, where something failed, who has got it and what can be done about the rest. */
import { bytes } from "../../lib/format";
import type { Composer } from "../../state/composer";
import type { Leg, LegState } from "../../state/sending";
import { Icon, type IconName } from "../../ui/icon";
import { Button, Notice } from "../../ui/parts";
import { afterSending } from "../../state/write";

const ICON: Record<LegState, IconName> = {
  waiting: "clock",
  sealing: "lock",
  sending: "send",
  done: "check",
  failed: "warning",
};

export function SendingPanel({ composer, again }: { composer: Composer; again: () => void }) {
  const sending = composer.sending.value;
  if (!sending) return null;
  const legs = sending.legs.value;
  const failed = legs.filter((leg) => leg.state === "failed");
  const stopped = !sending.running.value && failed.length > 0;
  return (
    <section class="sending" aria-label="Sending" role="status">
      <h2>{stopped ? "Not everything was sent" : "Sending"}</h2>
      <ul>
        {legs.map((leg) => (
          <LegRow key={`${leg.kind} ${leg.addresses[0]}`} leg={leg} size={composer.size.value} />
        ))}
      </ul>
      {stopped && (
        <>
          <Notice kind="error">{verdict(legs)}</Notice>
          <div class="row">
            <Button look="primary" icon="refresh" onClick={again}>
              Try the rest again
            </Button>
            <Button icon="pencil" onClick={() => composer.backToWriting()}>
              Change it first
            </Button>
            <Button look="quiet" onClick={() => afterSending()}>
              Keep as draft
            </Button>
          </div>
        </>
      )}
    </section>
  );
}

function verdict(legs: Leg[]): string {
  const people = legs.filter((leg) => leg.kind !== "own");
  const count = (state: LegState) =>
    people.filter((leg) => leg.state === state).reduce((n, leg) => n + leg.addresses.length, 0);
  const [done, failed] = [count("done"), count("failed")];
  if (failed === 0) return "Everybody has got it, but your own copy could not be kept.";
  if (done === 0) return "Nobody has got it yet.";
  return `${done} of ${done + failed} have got it. Trying again sends it to the others alone.`;
}

function LegRow({ leg, size }: { leg: Leg; size: number }) {
  const share = leg.state === "done" ? 1 : leg.state === "sending" ? leg.progress : 0;
  return (
    <li class={`leg leg-${leg.state}`}>
      <Icon name={ICON[leg.state]} size={18} />
      <span class="leg-who">
        <span class="address">{leg.kind === "own" ? "Your copy, in Sent" : leg.addresses.join(", ")}</span>
        <small>{leg.error || words(leg, size)}</small>
      </span>
      <progress
        max={1}
        value={leg.state === "sealing" ? undefined : share}
        aria-label={`Progress: ${leg.addresses[0] ?? ""}`}
      />
    </li>
  );
}

function words(leg: Leg, size: number): string {
  const sealed = leg.kind !== "open";
  if (leg.state === "waiting") return "Waiting";
  if (leg.state === "sealing") return sealed ? "Sealing" : "Building";
  if (leg.state === "done")
    return leg.kind === "own" ? "Kept" : sealed ? "Sent, sealed" : "Handed over to be sent openly";
  return `${bytes(size * leg.progress)} of ${bytes(size)}`;
}
