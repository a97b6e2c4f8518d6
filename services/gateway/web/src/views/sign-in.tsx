/** Sign-in: the password is stretched here; only the authentication key made from it is sent. */
import { useEffect, useState } from "preact/hooks";
import { navigate } from "../lib/router";
import { info } from "../state/info";
import { session, signIn } from "../state/session";
import { Frame } from "../ui/frame";
import { Button, Notice, PasswordField, TextField, Working } from "../ui/parts";
import { useAction } from "../ui/use-action";
import "../styles/forms.css";

export default function SignIn() {
  const [address, setAddress] = useState("");
  const [password, setPassword] = useState("");
  const { error, busy, submit } = useAction(WRONG);
  const kind = session.value.kind;
  useEffect(() => {
    if (kind === "open" || kind === "locked") navigate("/mail/inbox", { replace: true });
  }, [kind]);
  return (
    <Frame title="Sign in" narrow>
      <h1>Sign in</h1>
      <form class="card form" onSubmit={submit(() => signIn(completeAddress(address), password))}>
        {error && <Notice kind="error">{error}</Notice>}
        <TextField
          label="Address"
          name="username"
          autocomplete="username"
          inputMode="email"
          placeholder={`you@${info.value?.member_domains[0] ?? "…"}`}
          required
          value={address}
          onInput={(event) => setAddress(event.currentTarget.value)}
        />
        <PasswordField
          label="Password"
          name="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
        {busy && <Working text="Stretching your password and opening your key" />}
        <Button type="submit" look="primary" busy={busy} disabled={!address || !password}>
          Sign in
        </Button>
        <p class="form-foot">
          <a href="/recover">Use a recovery code</a> · <a href="/sign-up">Create a mailbox</a>
        </p>
      </form>
    </Frame>
  );
}

const WRONG = "Address and password do not belong together.";

/** "bob" becomes "bob@" and the first member domain. */
export function completeAddress(typed: string): string {
  const plain = typed.trim().toLowerCase();
  const domain = info.value?.member_domains[0];
  return plain.includes("@") || !domain ? plain : `${plain}@${domain}`;
}
