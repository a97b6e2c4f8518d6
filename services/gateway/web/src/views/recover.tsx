/** Recovery: the code opens the key, a new password closes it again. Codes and keys never leave the browser. */
import { useState } from "preact/hooks";
import { ApiError, asSentence } from "../api/http";
import { navigate } from "../lib/router";
import { recover } from "../state/session";
import { Frame } from "../ui/frame";
import { NewPassword, newPasswordFits } from "../ui/new-password";
import { Button, Notice, TextField, Working } from "../ui/parts";
import { completeAddress } from "./sign-in";
import "../styles/forms.css";

export default function Recover() {
  const [address, setAddress] = useState("");
  const [code, setCode] = useState("");
  const [password, setPassword] = useState("");
  const [repeated, setRepeated] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await recover(completeAddress(address), code, password);
      navigate("/mail/inbox", { replace: true });
    } catch (failure) {
      setError(failure instanceof ApiError && failure.status === 401 ? WRONG : asSentence(failure));
      setBusy(false);
    }
  };
  return (
    <Frame title="Recovery" narrow>
      <h1>Use a recovery code</h1>
      <form class="card form" onSubmit={(event) => void submit(event)}>
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
        <NewPassword
          label="New password"
          {...{ address, password, repeated }}
          onPassword={setPassword}
          onRepeated={setRepeated}
        />
        {busy && <Working text="Opening your key and closing it with the new password" />}
        <Button
          type="submit"
          look="primary"
          busy={busy}
          disabled={!address || !code || !newPasswordFits(password, repeated, address)}
        >
          Set the new password
        </Button>
      </form>
    </Frame>
  );
}

const WRONG = "Address and recovery code do not belong together.";
