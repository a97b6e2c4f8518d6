/** The form to sign in with: an address and a password, which is stretched in this browser. */
import { useState } from "preact/hooks";
import { info } from "../state/info";
import { Button, Notice, PasswordField, TextField, Working } from "./parts";
import { useAction } from "./use-action";
import "../styles/forms.css";
import type { ComponentChildren } from "preact";

interface Props {
  signIn: (address: string, password: string) => Promise<void>;
  /** What is going on while it is. */
  working: string;
  children?: ComponentChildren;
}

const WRONG = "Address and password do not belong together.";

export function SignInForm({ signIn, working, children }: Props) {
  const [address, setAddress] = useState("");
  const [password, setPassword] = useState("");
  const { error, busy, submit } = useAction(WRONG);
  return (
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
      {busy && <Working text={working} />}
      <Button type="submit" look="primary" busy={busy} disabled={!address || !password}>
        Sign in
      </Button>
      {children}
    </form>
  );
}

/** "bob" becomes "bob@" and the first member domain. */
export function completeAddress(typed: string): string {
  const plain = typed.trim().toLowerCase();
  const domain = info.value?.member_domains[0];
  return plain.includes("@") || !domain ? plain : `${plain}@${domain}`;
}
