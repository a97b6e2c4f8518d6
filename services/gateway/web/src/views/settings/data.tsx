/** Your data: take it along, say how you may be reached, forget settings, see who got what, erase all of it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { asSentence } from "../../api/http";
import { rights as api, type Rights } from "../../api/rights";
import { saveBytes } from "../../lib/download";
import { longDay, plural } from "../../lib/format";
import { sharedWriting, writing } from "../../state/keeping";
import { usage } from "../../state/mailbox";
import { change, erase, keepAccount, loadRights, receipt, rights } from "../../state/rights";
import { account } from "../../state/session";
import { openMailbox, type TakeoutProgress } from "../../state/takeout";
import { toast } from "../../state/toast";
import { Copyable } from "../../ui/copyable";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { ConfirmPassword } from "./confirm-password";
import "../../styles/rights.css";

export function DataSection() {
  const { error, reload } = useLoad(loadRights);
  const found = rights.value;
  if (!found) return error ? <Failure error={error} retry={reload} /> : <Waiting />;
  return (
    <>
      <Policy found={found} />
      <Takeout />
      <Reach key={found.contact} found={found} />
      <Preferences />
      <Disclosures />
      <Erase found={found} />
    </>
  );
}

function Policy({ found }: { found: Rights }) {
  const notice = found.notice;
  const accept = () =>
    change(api.answer(notice?.version ?? 0, true))
      .then(() => toast("Accepted"))
      .catch((failure: unknown) => toast(asSentence(failure), { kind: "error" }));
  return (
    <section class="card">
      <h2>What holds for you</h2>
      <p>
        Version {found.terms || 1} of the <a href="/privacy" target="_blank" rel="noreferrer">privacy policy</a>, with what is
        kept, how long, and whether it was found to hold.
      </p>
      {notice?.answer === "refused" && (
        <Notice kind="info">
          You have refused version {notice.version}. The older terms are yours
          {notice.old_terms_until ? ` until ${longDay(new Date(notice.old_terms_until))}` : ""}.{" "}
          <button type="button" class="link" onClick={() => void accept()}>
            Accept it after all
          </button>
        </Notice>
      )}
    </section>
  );
}

function Takeout() {
  const [progress, setProgress] = useState<TakeoutProgress | null>(null);
  const stop = useRef<AbortController | null>(null);
  const { busy, error, run } = useAction();
  useEffect(() => () => stop.current?.abort(), []);
  const total = usage.value?.used_messages ?? 0;
  const name = `${account.value?.address ?? "mailbox"}.mbox`;
  const open = async () => {
    const abort = (stop.current = new AbortController());
    try {
      setProgress({ done: 0, failed: 0 });
      const { file, failed } = await openMailbox(setProgress, abort.signal);
      saveBytes(file, name);
      toast(failed ? `Saved; ${plural(failed, "mail")} did not open` : "Saved");
    } catch (failure) {
      if (!abort.signal.aborted) throw failure;
      toast("Stopped");
    } finally {
      setProgress(null);
    }
  };
  return (
    <section class="card takeout">
      <h2>Take your data along</h2>
      <p>
        Everything that is held about you, as one archive: your account, settings, concerns, what was sent, your wrapped key, and
        all mail as it is stored, sealed. GnuPG opens it with your key.
      </p>
      <p>
        <a class="button plain" href="/v1/account/export" download target="_self">
          Save the sealed archive
        </a>
      </p>
      <p>Mail in the open can be made only here, in this page, since nobody else can open it.</p>
      {error && <Notice kind="error">{error}</Notice>}
      {progress ? (
        <>
          <progress value={progress.done} max={Math.max(total, progress.done, 1)} aria-label="Mails opened" />
          <p role="status">
            {progress.done.toLocaleString()} of {plural(Math.max(total, progress.done), "mail")}
          </p>
          <Button onClick={() => stop.current?.abort()}>Stop</Button>
        </>
      ) : (
        <Button busy={busy} onClick={() => void run(open)}>
          Save all mail, opened
        </Button>
      )}
      <p class="hint">
        The private key in the open is under <a href="/settings/account">Account and key</a>.
      </p>
    </section>
  );
}

function Reach({ found }: { found: Rights }) {
  const [contact, setContact] = useState(found.contact);
  const { busy, error, run, submit } = useAction();
  const consent = (purpose: "newsletter" | "contact", given: boolean) =>
    void run(() => change(api.consents({ [purpose]: given })));
  return (
    <section class="card consents">
      <h2>How you may be reached</h2>
      <p>Both are off unless you switch them on. What concerns your account itself comes to your mailbox in any case.</p>
      {error && <Notice kind="error">{error}</Notice>}
      <Check
        label="Newsletter"
        hint="News of this service, to your mailbox"
        checked={found.consents.newsletter.given}
        disabled={busy}
        onChange={(given) => consent("newsletter", given)}
      />
      <Check
        label="Use my contact address"
        hint="Notices about your account also go to the address below"
        checked={found.consents.contact.given}
        disabled={busy}
        onChange={(given) => consent("contact", given)}
      />
      <form class="form inline" onSubmit={submit(() => change(api.contact(contact.trim())).then(() => toast("Saved")))}>
        <TextField
          label="Contact address"
          hint="Elsewhere; kept sealed, and used for nothing but this"
          type="email"
          autocomplete="off"
          value={contact}
          onInput={(event) => setContact(event.currentTarget.value)}
        />
        <Button type="submit" busy={busy} disabled={contact.trim() === found.contact}>
          {contact.trim() ? "Save" : "Forget it"}
        </Button>
      </form>
    </section>
  );
}

interface CheckProps {
  label: string;
  hint: string;
  checked: boolean;
  disabled: boolean;
  onChange: (given: boolean) => void;
}

function Check({ label, hint, checked, disabled, onChange }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>
        {label}
        <small>{hint}</small>
      </span>
    </label>
  );
}

function Preferences() {
  const { busy, error, run } = useAction();
  const forget = () =>
    run(async () => {
      await api.forgetPreferences();
      // What is asked for next begins anew.
      sharedWriting.forget();
      writing.value = null;
      toast("Forgotten");
    });
  return (
    <section class="card">
      <h2>Preferences</h2>
      <p>Your signature and the like are forgotten when nobody has used them for long, or now.</p>
      {error && <Notice kind="error">{error}</Notice>}
      <Button busy={busy} onClick={() => void forget()}>
        Forget my preferences
      </Button>
    </section>
  );
}

function Disclosures() {
  const { value: told, error, reload } = useLoad(api.disclosures);
  return (
    <section class="card">
      <h2>Handed over to authorities</h2>
      {error ? (
        <Failure error={error} retry={reload} />
      ) : !told ? (
        <Waiting />
      ) : told.length === 0 ? (
        <p class="muted">
          Nothing that you may be told of. How many orders there are at all is on the{" "}
          <a href="/transparency" target="_blank" rel="noreferrer">
            transparency page
          </a>
          .
        </p>
      ) : (
        <ul class="items">
          {told.map((one) => (
            <li key={one.id}>
              <div>
                <strong>{longDay(new Date(one.decided))}</strong>
                <small class="muted">
                  {one.legal_basis.replace(/_/g, " ")}: {one.data_classes.join(", ").replace(/_/g, " ")}, from{" "}
                  {longDay(new Date(one.since))} to {longDay(new Date(one.until))}
                </small>
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Erase({ found }: { found: Rights }) {
  const { busy, error, run } = useAction();
  const due = found.erasure?.due;
  if (due) {
    return (
      <section class="card">
        <h2>This account is going</h2>
        <p>
          On <strong>{longDay(new Date(due))}</strong> its keys are destroyed and everything is deleted. Until then you can keep
          it.
        </p>
        {receipt.value && (
          <>
            <p>With this link you find the receipt, now and when the account is gone. It is shown only once.</p>
            <Copyable text={`${location.origin}/erasure/${receipt.value}`} what="the link to the receipt" />
          </>
        )}
        {error && <Notice kind="error">{error}</Notice>}
        <Button look="primary" busy={busy} onClick={() => void run(() => keepAccount().then(() => toast("Your account stays")))}>
          Keep my account
        </Button>
      </section>
    );
  }
  const ask = async (password: string) => {
    await erase(password);
    toast("The erasure is asked for");
  };
  return (
    <section class="card">
      <h2>Erase this account</h2>
      <p>
        Everything in it, the address included: first the keys, so that nothing can be read any more, then the rest. Where a
        backup is brought back, it is erased there again before anybody gets in. Once you have asked, you see until when you
        can undo it, and get a receipt that says what was deleted.
      </p>
      <ConfirmPassword action="Erase my account" danger work={ask} />
    </section>
  );
}
