/** One mail: its recipients, how it stands with each, and cancelling what is not sent yet. */
import { useState } from "preact/hooks";
import { relay, type Submission } from "../../api/relay";
import { longTime, plural } from "../../lib/format";
import { Dialog } from "../../ui/dialog";
import { Button, Failure, Notice, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { explain, kindOf } from "./events";
import { Badge } from "./records";

// A mail can have a thousand recipients; a dialog of as many lines helps nobody.
const SHOWN = 100;

export function SubmissionDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const { value, error, reload, set } = useLoad(() => relay.submission(id));
  return (
    <Dialog title="The mail" wide onClose={onClose}>
      {error ? <Failure error={error} retry={reload} /> : !value ? <Waiting /> : <Details mail={value} onChanged={set} />}
    </Dialog>
  );
}

function Details({ mail, onChanged }: { mail: Submission; onChanged: (mail: Submission) => void }) {
  const [shown, setShown] = useState(SHOWN);
  const { busy, error, run } = useAction();
  const waiting = mail.recipients.filter(({ state }) => state === "queued").length;
  const cancel = () => run(async () => onChanged(await relay.cancel(mail.id)));
  return (
    <>
      <p class="muted">
        Taken {longTime(new Date(mail.submitted))}
        {mail.send_at && `, to be sent ${longTime(new Date(mail.send_at))}`}
        {mail.campaign && `, campaign ${mail.campaign}`}. Id <span class="mono address">{mail.id}</span>
      </p>
      {error && <Notice kind="error">{error}</Notice>}
      <ul class="items" aria-label="Recipients">
        {mail.recipients.slice(0, shown).map((one) => (
          <li key={one.address}>
            <div>
              <bdi class="address">{one.address}</bdi>
              <small class="muted">
                {plural(one.attempts, "attempt")} <span class="mono">{one.status}</span> {explain(one.status)}
                {one.next_attempt && ` · next ${longTime(new Date(one.next_attempt))}`}
              </small>
            </div>
            <Badge word={kindOf(one.state).word} icon={kindOf(one.state).icon} tone={kindOf(one.state).tone} />
          </li>
        ))}
      </ul>
      {shown < mail.recipients.length && (
        <Button onClick={() => setShown(shown + SHOWN)}>Show more of {plural(mail.recipients.length, "recipient")}</Button>
      )}
      {waiting > 0 && (
        <footer>
          <Button look="danger" busy={busy} onClick={() => void cancel()}>
            Cancel what waits ({waiting.toLocaleString()})
          </Button>
        </footer>
      )}
    </>
  );
}
