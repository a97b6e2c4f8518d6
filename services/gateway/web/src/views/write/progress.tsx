/** How sending goes, for each recipient; and, where something failed, who has got it and what can be done about the rest. */
import { useEffect, useRef } from "preact/hooks";
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
  const running = sending?.running.value ?? false;
  const buttons = useRef<HTMLDivElement>(null);
  const asked = useRef(false);
  const stop = () => {
    asked.current = true;
    sending?.stop();
  };
  useEscape(running, stop);
  useEffect(() => {
    // The button that had the focus is gone.
    if (!running && asked.current) buttons.current?.querySelector("button")?.focus();
    asked.current = false;
  }, [running]);
  if (!sending) return null;
  const legs = sending.legs.value;
  const stopped = !running && legs.some((leg) => leg.state !== "done");
  return (
    <section class="sending" aria-label="Sending" role="status">
      <h2>{stopped ? "Not everything was sent" : "Sending"}</h2>
      <ul>
        {legs.map((leg) => (
          <LegRow key={`${leg.kind} ${leg.addresses[0]}`} leg={leg} size={composer.size.value} />
        ))}
      </ul>
      {running && (
        <div class="row">
          <Button icon="close" title="Stop sending (Esc)" onClick={stop}>
            Stop sending
          </Button>
        </div>
      )}
      {stopped && (
        <>
          <Notice kind="error">{verdict(legs)}</Notice>
          <div class="row" ref={buttons}>
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

/** Escape stops it, unless it is for a dialog or somebody has taken it already. */
function useEscape(running: boolean, stop: () => void): void {
  const latest = useRef(stop);
  latest.current = stop;
  useEffect(() => {
    if (!running) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      latest.current();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [running]);
}

function verdict(legs: Leg[]): string {
  const people = legs.filter((leg) => leg.kind !== "own");
  const count = (done: boolean) =>
    people.filter((leg) => (leg.state === "done") === done).reduce((n, leg) => n + leg.addresses.length, 0);
  const [done, failed] = [count(true), count(false)];
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
