/**
 * Sign-up: address and password, keys made here, then the offer of a recovery code. The same for businesses that send by
 * program; their addresses are at domains of their own.
 */
import { useState } from "preact/hooks";
import { ApiError, asSentence } from "../api/http";
import { navigate } from "../lib/router";
import { info } from "../state/info";
import { setRecovery, signUp } from "../state/session";
import { Frame } from "../ui/frame";
import { NewPassword, useNewPassword } from "../ui/new-password";
import { Button, Notice, TextField, Working } from "../ui/parts";
import { RecoveryCode } from "../ui/recovery-code";
import "../styles/forms.css";

export default function SignUp({ relays = false }: { relays?: boolean }) {
  const [made, setMade] = useState<{ address: string; password: string } | null>(null);
  if (made) return <OfferRecovery {...made} />;
  const domains = (relays ? info.value?.relay_domains : info.value?.member_domains) ?? [];
  if (info.value && (!info.value.sign_up_open || domains.length === 0)) {
    return (
      <Frame title="Sign up" narrow>
        <h1>Sign-up is closed</h1>
        <Notice kind="info">Who runs this server opens accounts here. You can still use public inboxes.</Notice>
      </Frame>
    );
  }
  return (
    <Frame title="Sign up" narrow>
      <h1>{relays ? "Create an account to send by program" : "Create a mailbox"}</h1>
      {relays && (
        <p>
          For receipts, alerts and newsletters of a business: over SMTP or HTTP, with addresses of your own domain. It
          has a sealed mailbox too, for answers and notices.
        </p>
      )}
      <SignUpForm domains={domains} onMade={(address, password) => setMade({ address, password })} />
      <OtherKind relays={relays} />
      <p class="form-foot">
        What is kept and for how long is in the <a href="/privacy">privacy policy</a>.
      </p>
    </Frame>
  );
}

function OtherKind({ relays }: { relays: boolean }) {
  if (relays) {
    return (
      <p class="form-foot">
        For a person? <a href="/sign-up">Create a mailbox</a>
      </p>
    );
  }
  if (!info.value?.relay_domains.length) return null;
  return (
    <p class="form-foot">
      A business that sends by program? <a href="/sign-up/business">Create an account for that</a>
    </p>
  );
}

function useSignUp(onMade: (address: string, password: string) => void) {
  const [step, setStep] = useState("");
  const [error, setError] = useState<{ address?: string; all?: string }>({});
  const run = async (address: string, password: string) => {
    setError({});
    try {
      await signUp(address, password, setStep);
      onMade(address, password);
    } catch (failure) {
      const taken = failure instanceof ApiError && (failure.status === 409 || "address" in failure.fields);
      const text = failure instanceof ApiError ? (failure.fields["address"] ?? failure.message) : asSentence(failure);
      setError(taken ? { address: text } : { all: text });
    } finally {
      setStep("");
    }
  };
  return { step, error, run };
}

interface FormProps {
  domains: string[];
  onMade: (address: string, password: string) => void;
}

function SignUpForm({ domains, onMade }: FormProps) {
  const [local, setLocal] = useState("");
  const [chosen, setChosen] = useState("");
  const [understood, setUnderstood] = useState(false);
  const { step, error, run } = useSignUp(onMade);
  const domain = chosen || domains[0] || "";
  const address = `${local.trim().toLowerCase()}@${domain}`;
  const next = useNewPassword(address);
  const localWrong = local !== "" && !/^[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?$/i.test(local.trim());
  const ready = domain && local && !localWrong && understood && next.fits;
  return (
    <form
      class="card form"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready && !step) void run(address, next.password);
      }}
    >
      {error.all && <Notice kind="error">{error.all}</Notice>}
      <TextField
        label="Address"
        name="username"
        autocomplete="username"
        placeholder="your-name"
        maxLength={64}
        required
        value={local}
        onInput={(event) => setLocal(event.currentTarget.value)}
        error={
          error.address ??
          (localWrong ? "Letters, digits, dots, hyphens; it starts and ends with a letter or digit" : undefined)
        }
        after={<DomainChoice domains={domains} value={domain} onChange={setChosen} />}
      />
      <NewPassword {...next.fields} />
      <Notice kind="warning">
        <strong>There is no reset.</strong> Your password never leaves this browser. If you lose it and have no recovery
        code, nobody can open your mail again, and neither can we.
        <label class="check">
          <input
            type="checkbox"
            checked={understood}
            onChange={(event) => setUnderstood(event.currentTarget.checked)}
          />
          <span>I understand</span>
        </label>
      </Notice>
      {step && <Working text={step} />}
      <Button type="submit" look="primary" busy={step !== ""} disabled={!ready}>
        Create mailbox
      </Button>
      <p class="form-foot">
        Have one already? <a href="/sign-in">Sign in</a>
      </p>
    </form>
  );
}

function DomainChoice({
  domains,
  value,
  onChange,
}: {
  domains: string[];
  value: string;
  onChange: (v: string) => void;
}) {
  if (domains.length < 2) return <span class="domain">@{value || "…"}</span>;
  return (
    <select class="domain" aria-label="Domain" value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {domains.map((domain) => (
        <option key={domain} value={domain}>
          @{domain}
        </option>
      ))}
    </select>
  );
}

function OfferRecovery({ address, password }: { address: string; password: string }) {
  const enter = () => navigate("/mail/inbox", { replace: true });
  return (
    <Frame title="Recovery code" narrow>
      <h1>Keep a recovery code?</h1>
      <Notice kind="good">
        <strong class="address">{address}</strong> is yours.
      </Notice>
      <div class="card">
        <RecoveryCode
          address={address}
          save={(code) => setRecovery(password, code)}
          onDone={enter}
          onSkip={enter}
          skipLabel="Go on without one"
        />
      </div>
    </Frame>
  );
}
