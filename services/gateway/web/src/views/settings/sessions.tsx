/** Where this account is signed in; the server keeps the times and nothing that tells who or where. */
import { useEffect, useState } from "preact/hooks";
import { account as api } from "../../api/calls";
import type { Session } from "../../api/types";
import { longTime } from "../../lib/format";
import { Confirm } from "../../ui/dialog";
import { Button, Failure, Waiting } from "../../ui/parts";
import { leave } from "../mail/top";

export function SessionsSection() {
  const [sessions, setSessions] = useState<Session[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [asking, ask] = useState(false);
  const load = () => {
    setError(null);
    api.sessions().then(setSessions, setError);
  };
  useEffect(load, []);
  return (
    <>
      <section class="card">
        {error ? <Failure error={error} retry={load} /> : !sessions ? <Waiting /> : <SessionList sessions={sessions} />}
        <p class="hint">No address, place or browser is recorded.</p>
      </section>
      <section class="card">
        <h2>Sign out everywhere</h2>
        <p>Ends all sessions, this one too. API keys and app passwords stay.</p>
        <Button look="danger" icon="signOut" onClick={() => ask(true)}>
          Sign out everywhere
        </Button>
      </section>
      {asking && (
        <Confirm
          title="Sign out everywhere?"
          action="Sign out everywhere"
          danger
          onConfirm={() => leave(true)}
          onClose={() => ask(false)}
        >
          <p>You will need your password on every device.</p>
        </Confirm>
      )}
    </>
  );
}

function SessionList({ sessions }: { sessions: Session[] }) {
  return (
    <ul class="items">
      {sessions.map((one) => (
        <li key={one.id}>
          <div>
            <strong>{one.current ? "This session" : "Another session"}</strong>
            <small class="muted">Since {longTime(new Date(one.created))}</small>
          </div>
          <small class="muted">Last used {longTime(new Date(one.last_used))}</small>
        </li>
      ))}
    </ul>
  );
}
