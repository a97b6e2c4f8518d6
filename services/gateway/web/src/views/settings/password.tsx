/** A new password: the key is wrapped again here; mail need not be touched. */
import { useState } from "preact/hooks";
import { account, changePassword } from "../../state/session";
import { toast } from "../../state/toast";
import { NewPassword, useNewPassword } from "../../ui/new-password";
import { Button, Notice, PasswordField, Working } from "../../ui/parts";
import { useAction } from "../../ui/use-action";

export function PasswordSection() {
  const address = account.value?.address ?? "";
  const [current, setCurrent] = useState("");
  const next = useNewPassword(address);
  const { busy, error, submit } = useAction();
  const change = async () => {
    await changePassword(current, next.password);
    setCurrent("");
    next.clear();
    toast("Password changed");
  };
  return (
    <section class="card">
      <form class="form" onSubmit={submit(change)}>
        {error && <Notice kind="error">{error}</Notice>}
        <PasswordField
          label="Current password"
          name="password"
          autocomplete="current-password"
          required
          value={current}
          onInput={(event) => setCurrent(event.currentTarget.value)}
        />
        <NewPassword label="New password" {...next.fields} />
        {busy && <Working text="Opening your key and closing it with the new password" />}
        <Button type="submit" look="primary" busy={busy} disabled={!current || !next.fits}>
          Change password
        </Button>
      </form>
      <p class="hint">Neither password leaves this browser. A recovery code stays in force.</p>
    </section>
  );
}
