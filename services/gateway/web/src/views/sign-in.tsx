/** Sign-in: the password is stretched here; only the authentication key made from it is sent. */
import { useEffect } from "preact/hooks";
import { navigate } from "../lib/router";
import { session, signIn } from "../state/session";
import { Frame } from "../ui/frame";
import { SignInForm } from "../ui/sign-in-form";

export default function SignIn() {
  const kind = session.value.kind;
  useEffect(() => {
    if (kind === "open" || kind === "locked") navigate("/mail/inbox", { replace: true });
  }, [kind]);
  return (
    <Frame title="Sign in" narrow>
      <h1>Sign in</h1>
      <SignInForm signIn={signIn} working="Stretching your password and opening your key">
        <p class="form-foot">
          <a href="/recover">Use a recovery code</a> · <a href="/sign-up">Create a mailbox</a>
        </p>
      </SignInForm>
    </Frame>
  );
}
