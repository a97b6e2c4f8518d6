/** Recovery: the code opens the key, a new password closes it again. Codes and keys never leave the browser. */
import { useState } from "preact/hooks";
import { navigate } from "../lib/router";
import { recover } from "../state/session";
import { Frame } from "../ui/frame";
import { NewPassword, useNewPassword } from "../ui/new-password";
import { Button, Notice, TextField, Working } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { completeAddress } from "../ui/sign-in-form";
import "../styles/forms.css";

export default function Recover() {
  const [address, setAddress] = useState("");
  const [code, setCode] = useState("");
  const next = useNewPassword(address);
  const { busy, error, submit } = useAction(WRONG);
  const work = async () => {
    await recover(completeAddress(address), code, next.password);
    navigate("/mail/inbox", { replace: true });
  };
  return (
    <Frame title="Recovery" narrow>
      <h1>Use a recovery code</h1>
      <form class="card form" onSubmit={submit(work)}>
        {error && <Notice kind="error">{error}</Notice>}
        <TextField
          label="Address"
          name="username"
          autocomplete="username"
          required
          value={address}
          onInput={(event) => setAddress(event.currentTarget.value)}
        />
        <TextField
          label="Recovery code"
          name="code"
          autocomplete="off"
          class="mono"
          placeholder="XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX"
          required
          value={code}
          onInput={(event) => setCode(event.currentTarget.value)}
          hint="32 letters and digits; spaces and hyphens do not matter"
        />
        <NewPassword label="New password" {...next.fields} />
        {busy && <Working text="Opening your key and closing it with the new password" />}
        <Button type="submit" look="primary" busy={busy} disabled={!address || !code || !next.fits}>
          Set the new password
        </Button>
      </form>
    </Frame>
  );
}

const WRONG = "Address and recovery code do not belong together.";
