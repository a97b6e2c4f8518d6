/** How an account's sending stands: its allowance of today, what came back, whether it is paused; and the emergency stop. */
import { useState } from "preact/hooks";
import { relay, type SendingState } from "../../api/relay";
import { plural } from "../../lib/format";
import { account } from "../../state/session";
import { toast } from "../../state/toast";
import { Confirm } from "../../ui/dialog";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";

// What delivery pauses an account at (services/delivery/domain/limits.py), of a thousand.
const MOST_BOUNCED = 100;
const MOST_COMPLAINED = 3;

export function OverviewSection() {
  const { value, error, busy, reload } = useLoad(relay.sending);
  return (
    <>
      {value?.paused && <Paused reason={value.reason} />}
      <section class="card" aria-label="Today and of late">
        {error ? <Failure error={error} retry={reload} /> : !value ? <Waiting /> : <Standing state={value} />}
        {value && (
          <div class="row">
            <Button icon="refresh" busy={busy} onClick={reload}>
              Look again
            </Button>
            <a href="/sending/activity">What became of each mail</a>
          </div>
        )}
      </section>
      {account.value?.profile === "relay" && <Steps />}
      <StopCampaign />
    </>
  );
}

const WHY: Record<string, string> = {
  bounces: "Too many recipients do not exist or refused the mail for good.",
  complaints: "Too many recipients reported the mail as unwanted.",
  operator: "Who runs this installation has paused it.",
};

function Paused({ reason }: { reason: string }) {
  return (
    <Notice kind="error">
      <strong>Sending is paused.</strong> {WHY[reason] ?? ""} New mail is refused until it is resumed.
      <ol class="steps-to-take">
        <li>
          Find out whom it concerns: <a href="/sending/activity">what became of each mail</a>.
        </li>
        <li>Take those addresses off your lists, and write only to people who asked for it.</li>
        <li>Then tell who runs this installation what you changed: only an operator can resume sending.</li>
      </ol>
      A mail in your inbox has the figures.
    </Notice>
  );
}

function Standing({ state }: { state: SendingState }) {
  const { sent_today: sent, limit_today: limit } = state;
  const left = Math.max(0, limit - sent);
  return (
    <>
      <div class="bar">
        <p>
          <strong>Recipients today</strong>
          <span>
            {sent.toLocaleString()} of {limit.toLocaleString()}
          </span>
        </p>
        <meter
          min={0}
          max={Math.max(1, limit)}
          high={0.9 * Math.max(1, limit)}
          optimum={0}
          value={Math.min(sent, limit)}
          aria-label="Recipients today"
        />
        <p class="hint">
          {left === 0 ? "None left until midnight UTC." : `${plural(left, "recipient")} left until midnight UTC.`} A new
          account starts small; its limit grows each day, for ten days. One mail can have{" "}
          {plural(state.limit_per_mail, "recipient")}.
        </p>
      </div>
      <Rate label="Bounced" value={state.bounced_per_mille} most={MOST_BOUNCED} hint="refused for good" />
      <Rate label="Complained" value={state.complained_per_mille} most={MOST_COMPLAINED} hint="reported as unwanted" />
      <p class="hint">Both of the last 1,000 recipients whose fate is known. Above the mark, sending is paused.</p>
    </>
  );
}

const percent = (perMille: number) => `${(perMille / 10).toLocaleString([], { maximumFractionDigits: 1 })} %`;

/** The mark stands at half of the bar, so that what is above it can be seen too. */
function Rate({ label, value, most, hint }: { label: string; value: number; most: number; hint: string }) {
  const state = value > most ? "above the mark" : value > most * 0.7 ? "near the mark" : "fine";
  return (
    <div class="bar rate">
      <p>
        <span>
          <strong>{label}</strong> <small class="muted">{hint}</small>
        </span>
        <span>
          {percent(value)} · {state}
        </span>
      </p>
      <div class="rate-bar">
        <meter
          min={0}
          max={2 * most}
          high={most}
          optimum={0}
          value={Math.min(value, 2 * most)}
          aria-label={`${label}, ${state}; paused above ${percent(most)}`}
        />
      </div>
      <p class="rate-mark hint">{percent(most)}</p>
    </div>
  );
}

function Steps() {
  return (
    <section class="card">
      <h2>To send by program</h2>
      <ol class="todo">
        <li>
          <a href="/sending/domains">Add your domain</a> and publish the records that it needs. Until then, you send as{" "}
          <span class="address">{account.value?.address}</span>.
        </li>
        <li>
          <a href="/sending/programs">Make an app password or an API key</a>, and send the first mail.
        </li>
        <li>
          <a href="/sending/webhooks">Add a webhook</a>, if a program of yours should know what became of mail.
        </li>
      </ol>
    </section>
  );
}

function StopCampaign() {
  const [campaign, setCampaign] = useState("");
  const [asking, ask] = useState(false);
  const { busy, error, run } = useAction();
  const stop = () =>
    run(async () => {
      const stopped = await relay.stopCampaign(campaign.trim());
      toast(`Stopped: ${plural(stopped, "recipient")} will not get it`);
      setCampaign("");
    });
  return (
    <section class="card">
      <h2>Stop a campaign</h2>
      <p>What of it is not sent yet never will be, and new mail for it is refused. What is sent cannot be called back.</p>
      <form
        class="form inline"
        onSubmit={(event) => {
          event.preventDefault();
          if (campaign.trim()) ask(true);
        }}
      >
        <TextField
          label="Name of the campaign"
          hint="As given when the mail was sent"
          autocomplete="off"
          maxLength={64}
          value={campaign}
          error={error || undefined}
          onInput={(event) => setCampaign(event.currentTarget.value)}
        />
        <Button type="submit" look="danger" busy={busy} disabled={campaign.trim() === ""}>
          Stop it
        </Button>
      </form>
      {asking && (
        <Confirm title="Stop this campaign?" action="Stop it" danger onConfirm={() => void stop()} onClose={() => ask(false)}>
          <p>
            <strong class="address">{campaign.trim()}</strong> cannot be started again under this name.
          </p>
        </Confirm>
      )}
    </section>
  );
}
