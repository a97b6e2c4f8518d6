/** The recovery code: make one, replace it, take it away; each with the password. */
import { useState } from "preact/hooks";
import { account, checkPassword, setRecovery } from "../../state/session";
import { toast } from "../../state/toast";
import { Notice } from "../../ui/parts";
import { RecoveryCode } from "../../ui/recovery-code";
import { ConfirmPassword } from "./confirm-password";

export function RecoverySection() {
  const current = account.value;
  const [password, setPassword] = useState("");
  if (!current) return null;
  if (password) return <MakeCode address={current.address} password={password} onEnd={() => setPassword("")} />;
  const begin = async (given: string) => {
    await checkPassword(given);
    setPassword(given);
  };
  const off = async (given: string) => {
    await setRecovery(given, null);
    toast("Recovery code taken out of force");
  };
  return (
    <>
      <section class="card">
        {current.has_recovery ? (
          <Notice kind="good">A recovery code is in force.</Notice>
        ) : (
          <Notice kind="warning">
            <strong>No recovery code.</strong> If you lose your password, nobody can open your mail again.
          </Notice>
        )}
        <h2>{current.has_recovery ? "Replace it" : "Make one"}</h2>
        <p>
          {current.has_recovery
            ? "A new code takes the old one out of force."
            : "It opens your mailbox without the password."}
        </p>
        <ConfirmPassword action="Make a recovery code" work={begin} />
      </section>
      {current.has_recovery && (
        <section class="card">
          <h2>Take it out of force</h2>
          <p>Then only your password opens the mailbox.</p>
          <ConfirmPassword action="Take it out of force" danger work={off} />
        </section>
      )}
    </>
  );
}

function MakeCode({ address, password, onEnd }: { address: string; password: string; onEnd: () => void }) {
  const done = () => {
    toast("The new recovery code is in force");
    onEnd();
  };
  return (
    <section class="card">
      <RecoveryCode
        address={address}
        save={(code) => setRecovery(password, code)}
        onDone={done}
        onSkip={onEnd}
        skipLabel="Cancel"
      />
    </section>
  );
}
