/** What programs need to send: the SMTP server or the HTTP API, and a key of their own. */
import { useState } from "preact/hooks";
import { account as api } from "../../api/calls";
import type { Credential } from "../../api/types";
import { info } from "../../state/info";
import { account } from "../../state/session";
import { Copyable, CopyBlock, SecretDialog } from "../../ui/copyable";
import { Dialog } from "../../ui/dialog";
import { Button, Notice, TextField } from "../../ui/parts";
import { useAction } from "../../ui/use-action";

type Kind = Credential["kind"];
const NAME: Record<Kind, string> = { app_password: "app password", api_key: "API key" };
const SCOPES: Record<Kind, string[]> = { app_password: ["smtp:send"], api_key: ["mail:send"] };

export function ProgramsSection() {
  const [making, make] = useState<Kind | null>(null);
  const [made, setMade] = useState<{ kind: Kind; secret: string } | null>(null);
  const address = account.value?.address ?? "";
  return (
    <>
      <Smtp address={address} onMake={() => make("app_password")} />
      <Http address={address} onMake={() => make("api_key")} />
      <section class="card">
        <p>
          Keys that exist already are listed, and revoked, under{" "}
          <a href="/settings/credentials">API keys and app passwords</a>.
        </p>
      </section>
      {making && (
        <NewKey
          kind={making}
          onMade={(secret) => {
            setMade({ kind: making, secret });
            make(null);
          }}
          onClose={() => make(null)}
        />
      )}
      {made && (
        <SecretDialog title={`Your new ${NAME[made.kind]}`} secret={made.secret} onClose={() => setMade(null)} />
      )}
    </>
  );
}

function Smtp({ address, onMake }: { address: string; onMake: () => void }) {
  const server = info.value?.submission;
  return (
    <section class="card">
      <h2>SMTP</h2>
      {server ? (
        <dl class="pairs grid">
          <Pair name="Server" text={server.host} />
          <Pair name="Port, TLS from the start" text={String(server.tls_port)} />
          <Pair name="Port, STARTTLS" text={String(server.starttls_port)} />
          <Pair name="User name" text={address} />
          <div>
            <dt>Password</dt>
            <dd>An app password, not the one you sign in with</dd>
          </div>
          <div>
            <dt>Authentication</dt>
            <dd>PLAIN or LOGIN, over TLS only</dd>
          </div>
        </dl>
      ) : (
        <Notice kind="info">This installation does not tell where mail programs hand in mail. Ask who runs it.</Notice>
      )}
      <Button icon="key" onClick={onMake}>
        Make an app password
      </Button>
    </section>
  );
}

function Pair({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Copyable text={text} what={name.toLowerCase()} />
      </dd>
    </div>
  );
}

function Http({ address, onMake }: { address: string; onMake: () => void }) {
  return (
    <section class="card">
      <h2>HTTP API</h2>
      <p>
        <code>POST /v1/send</code> takes a mail in parts. Once it answers 202, the mail is kept until it is delivered or
        given up. Repeated with the same <code>Idempotency-Key</code> within a day, it is sent once.
      </p>
      <CopyBlock text={example(address)} what="example with curl" />
      <p class="hint">
        Also: <code>cc</code>, <code>bcc</code>, <code>html</code>, <code>attachments</code>, <code>headers</code>,{" "}
        <code>reply_to</code>, <code>send_at</code>, <code>campaign</code>, <code>one_click_unsubscribe</code>.{" "}
        <a href="/openapi.json" target="_blank" rel="noopener">
          The whole API
        </a>
      </p>
      <Button icon="key" onClick={onMake}>
        Make an API key
      </Button>
    </section>
  );
}

function example(address: string): string {
  return [
    `curl ${location.origin}/v1/send \\`,
    `  -H "Authorization: Bearer $SEALPOST_KEY" \\`,
    `  -H "Idempotency-Key: receipt-4711" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  -d '{`,
    `    "from": ${JSON.stringify(address)},`,
    `    "to": ["ann@example.org"],`,
    `    "subject": "Your receipt",`,
    `    "text": "Thank you!"`,
    `  }'`,
  ].join("\n");
}

function NewKey({ kind, onMade, onClose }: { kind: Kind; onMade: (secret: string) => void; onClose: () => void }) {
  const [label, setLabel] = useState("");
  const { busy, error, submit } = useAction();
  const make = async () => onMade((await api.addCredential(kind, label.trim(), SCOPES[kind])).secret);
  const what = kind === "api_key" ? "It may send mail and look at what became of it; it reads no mail." : "It may send mail over SMTP, and nothing else.";
  return (
    <Dialog title={`Make an ${NAME[kind]}`} onClose={onClose}>
      <p>{what}</p>
      <form onSubmit={submit(make)}>
        <TextField
          label="Label"
          hint="So that you know it again: which program uses it"
          maxLength={80}
          autocomplete="off"
          autoFocus
          value={label}
          error={error || undefined}
          onInput={(event) => setLabel(event.currentTarget.value)}
        />
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy} disabled={label.trim() === ""}>
            Make it
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
