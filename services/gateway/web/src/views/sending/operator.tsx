/** For operators: the DNS of this installation's own domains, and letting a paused account send again. */
import { useState } from "preact/hooks";
import { relay } from "../../api/relay";
import { toast } from "../../state/toast";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { DomainHead, Records } from "./records";

export function OperatorSection() {
  const { value: domains, error, busy, reload } = useLoad(relay.ownDomains);
  return (
    <>
      <section class="card">
        <p>
          How the services are, and what is counted, stands on{" "}
          <a href="/operator" target="_self">
            the operators' page
          </a>
          .
        </p>
        <p>What has to stand in the DNS for the domains that this installation serves, looked at now.</p>
        {error ? <Failure error={error} retry={reload} /> : !domains ? <Waiting text="Asking the DNS" /> : null}
        {domains && (
          <Button icon="refresh" busy={busy} onClick={reload}>
            Look again
          </Button>
        )}
      </section>
      {domains?.map(({ domain, verified, records }) => (
        <section class="card" aria-label={domain} key={domain}>
          <DomainHead domain={domain} good={verified ? "As it should be" : ""} bad="Not complete" />
          <Records domain={domain} records={records} />
        </section>
      ))}
      <Resume />
    </>
  );
}

function Resume() {
  const [address, setAddress] = useState("");
  const { busy, error, submit } = useAction();
  const resume = async () => {
    await relay.resume(address.trim());
    setAddress("");
    toast("Sending may go on");
  };
  return (
    <section class="card">
      <h2>Resume sending</h2>
      <p>For an account that was paused for bounces or complaints. Its figures begin anew.</p>
      <form class="form inline" onSubmit={submit(resume)}>
        <TextField
          label="Address of the account"
          type="email"
          autocomplete="off"
          value={address}
          onInput={(event) => setAddress(event.currentTarget.value)}
        />
        <Button type="submit" look="primary" busy={busy} disabled={address.trim() === ""}>
          Resume
        </Button>
      </form>
      {error && <Notice kind="error">{error}</Notice>}
    </section>
  );
}
