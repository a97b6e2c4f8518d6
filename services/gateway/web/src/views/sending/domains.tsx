/** Domains that an account sends with: add, publish, check, remove. */
import { useState } from "preact/hooks";
import { relay, type SenderDomain } from "../../api/relay";
import { asSentence } from "../../api/http";
import { longTime } from "../../lib/format";
import { announce, toast } from "../../state/toast";
import { Confirm } from "../../ui/dialog";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { DomainHead, Records } from "./records";

export function DomainsSection() {
  const { value: domains, error, reload, set } = useLoad(relay.domains);
  const put = (changed: SenderDomain) => {
    const rest = (domains ?? []).filter(({ domain }) => domain !== changed.domain);
    const at = (domains ?? []).findIndex(({ domain }) => domain === changed.domain);
    set(at < 0 ? [changed, ...rest] : rest.toSpliced(at, 0, changed));
  };
  return (
    <>
      <section class="card">
        <p>
          Send with addresses of your own domain. Its DNS says that it is yours and which key signs its mail; receivers
          believe that and nothing else. Ownership and DKIM are needed; SPF and DMARC help your mail to arrive.
        </p>
        <AddDomain onAdded={put} />
      </section>
      {error ? (
        <section class="card">
          <Failure error={error} retry={reload} />
        </section>
      ) : !domains ? (
        <Waiting />
      ) : (
        domains.map((one) => <DomainCard key={one.domain} domain={one} onChanged={put} onGone={reload} />)
      )}
    </>
  );
}

function AddDomain({ onAdded }: { onAdded: (domain: SenderDomain) => void }) {
  const [name, setName] = useState("");
  const { busy, error, submit } = useAction();
  const add = async () => {
    const added = await relay.addDomain(name.trim().toLowerCase().replace(/\.$/, ""));
    setName("");
    onAdded(added);
    toast("Added. Publish its records, then check.");
  };
  return (
    <form class="form inline" onSubmit={submit(add)}>
      <TextField
        label="Domain"
        placeholder="news.example.org"
        autocomplete="off"
        inputMode="url"
        maxLength={253}
        value={name}
        error={error || undefined}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <Button type="submit" look="primary" busy={busy} disabled={name.trim() === ""}>
        Add domain
      </Button>
    </form>
  );
}

interface CardProps {
  domain: SenderDomain;
  onChanged: (domain: SenderDomain) => void;
  onGone: () => void;
}

function DomainCard({ domain, onChanged, onGone }: CardProps) {
  const [removing, setRemoving] = useState(false);
  const { busy, error, run } = useAction();
  const check = () =>
    run(async () => {
      const checked = await relay.checkDomain(domain.domain);
      onChanged(checked);
      announce(`${checked.domain}: ${checked.verified ? "verified" : "not verified"}`);
    });
  return (
    <section class="card" aria-label={domain.domain}>
      <DomainHead domain={domain.domain} good={domain.verified ? "Verified" : ""} bad="Not verified" />
      {error && <Notice kind="error">{error}</Notice>}
      <p>{said(domain)}</p>
      <Records domain={domain.domain} records={domain.records} />
      <p class="hint">
        Publish them where the DNS of the domain is kept. Many providers add the domain to a name themselves: leave it out
        there. Changes are seen after minutes, at times after hours.
      </p>
      <div class="row">
        <Button look={domain.verified ? "plain" : "primary"} icon="refresh" busy={busy} onClick={() => void check()}>
          Check now
        </Button>
        <Button look="quiet" icon="trash" onClick={() => setRemoving(true)}>
          Remove
        </Button>
        <small class="muted">{domain.checked ? `Last checked ${longTime(new Date(domain.checked))}` : "Never checked"}</small>
      </div>
      {removing && <RemoveDialog domain={domain.domain} onGone={onGone} onClose={() => setRemoving(false)} />}
    </section>
  );
}

function RemoveDialog({ domain, onGone, onClose }: { domain: string; onGone: () => void; onClose: () => void }) {
  const remove = () => {
    relay
      .dropDomain(domain)
      .then(() => toast("Domain removed"))
      .catch((failure: unknown) => toast(asSentence(failure), { kind: "error" }))
      .finally(onGone);
  };
  return (
    <Confirm title="Remove this domain?" action="Remove" danger onConfirm={remove} onClose={onClose}>
      <p>
        Mail from addresses at <strong class="address">{domain}</strong> is refused from then on. Its records in the DNS are
        yours to take away.
      </p>
    </Confirm>
  );
}

function said({ verified, records }: SenderDomain): string {
  const open = records.filter((one) => one.state !== "ok");
  if (verified) {
    if (open.length === 0) return "All records stand as they should. It is looked at again each day.";
    return "You can send with it. Some records do not stand as they should yet.";
  }
  const wrong = open.filter((one) => one.required && one.state !== "unchecked").length;
  return wrong > 0
    ? "Nothing can be sent with it yet: records that are needed are not there, or not as they should be."
    : "Nothing can be sent with it yet: publish these records, then check.";
}
