/** After a reload the cookie still tells who this is; the key is gone, so the password is asked for, and nothing else. */
import { useState } from "preact/hooks";
import { account, signOut, unlock } from "../state/session";
import { Frame } from "../ui/frame";
import { Button, Notice, PasswordField, Working } from "../ui/parts";
import { useAction } from "../ui/use-action";
import "../styles/forms.css";

export default function Unlock() {
  const [password, setPassword] = useState("");
  const { error, busy, submit } = useAction();
  return (
    <Frame title="Locked" narrow>
      <h1>Welcome back</h1>
      <form class="card form" onSubmit={submit(() => unlock(password))}>
        <p>
          You are signed in as <strong class="address">{account.value?.address}</strong>. Your key was only in the
          memory of the page, so your password opens it again.
        </p>
        {error && <Notice kind="error">{error}</Notice>}
        <input
          class="visually-hidden"
          autocomplete="username"
          value={account.value?.address}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <PasswordField
          label="Password"
          name="password"
          autocomplete="current-password"
          autoFocus
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
        {busy && <Working text="Stretching your password and opening your key" />}
        <Button type="submit" look="primary" busy={busy} disabled={!password}>
          Unlock
        </Button>
        <p class="form-foot">
          <button type="button" class="link" onClick={() => void signOut().catch(() => undefined)}>
            Sign out
          </button>
        </p>
      </form>
    </Frame>
  );
}
