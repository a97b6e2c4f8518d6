/** Asks for the password before something that needs it; the password is used once and forgotten. */
import { useState } from "preact/hooks";
import { Button, Notice, PasswordField, Working } from "../../ui/parts";
import { useAction } from "../../ui/use-action";

interface Props {
  action: string;
  danger?: boolean;
  work: (password: string) => Promise<void>;
}

export function ConfirmPassword({ action, danger = false, work }: Props) {
  const [password, setPassword] = useState("");
  const { busy, error, run } = useAction();
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void run(() => work(password)).then(() => setPassword(""));
      }}
    >
      {error && <Notice kind="error">{error}</Notice>}
      <PasswordField
        label="Your password"
        name="password"
        autocomplete="current-password"
        required
        value={password}
        onInput={(event) => setPassword(event.currentTarget.value)}
      />
      {busy && <Working text="Stretching your password" />}
      <Button type="submit" look={danger ? "danger" : "primary"} busy={busy} disabled={!password}>
        {action}
      </Button>
    </form>
  );
}
