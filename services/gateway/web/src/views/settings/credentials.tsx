/** Keys for programs: they authenticate and open nothing; each secret is shown once. */
import { useEffect, useState } from "preact/hooks";
import { account as api } from "../../api/calls";
import { asSentence } from "../../api/http";
import type { Credential } from "../../api/types";
import { toast } from "../../state/toast";
import { SecretDialog } from "../../ui/copyable";
import { Confirm } from "../../ui/dialog";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";

const KIND = { api_key: "API key", app_password: "App password" } as const;
const KIND_USE = { api_key: "for scripts, over HTTP", app_password: "for mail programs, over SMTP" } as const;
const SCOPES: [string, string][] = [
  ["mail:read", "List and fetch (sealed: it gets ciphertext)"],
  ["mail:write", "Flags, folders, delete"],
  ["mail:send", "Send, and look at what became of it"],
];

export function CredentialsSection() {
  const [credentials, setCredentials] = useState<Credential[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [secret, setSecret] = useState<{ secret: string; kind: Credential["kind"] } | null>(null);
  const [dropping, setDropping] = useState<Credential | null>(null);
  const load = () => {
    setError(null);
    api.credentials().then(setCredentials, setError);
  };
  useEffect(load, []);
  const drop = (credential: Credential) => {
    api
      .dropCredential(credential.id)
      .then(() => toast(`${KIND[credential.kind]} revoked`))
      .catch((failure: unknown) => toast(asSentence(failure), { kind: "error" }))
      .finally(load);
  };
  return (
    <>
      <section class="card">
        <p>For scripts and mail programs. They sign in; they never open mail, since that needs your key.</p>
        {error ? (
          <Failure error={error} retry={load} />
        ) : !credentials ? (
          <Waiting />
        ) : (
          <CredentialList all={credentials} onDrop={setDropping} />
        )}
      </section>
      <section class="card">
        <h2>Make a new one</h2>
        <NewCredential
          onMade={(made, kind) => {
            setSecret({ secret: made, kind });
            load();
          }}
        />
      </section>
      {secret && (
        <SecretDialog title={`Your new ${KIND[secret.kind]}`} secret={secret.secret} onClose={() => setSecret(null)} />
      )}
      {dropping && (
        <Confirm
          title="Revoke it?"
          action="Revoke"
          danger
          onConfirm={() => drop(dropping)}
          onClose={() => setDropping(null)}
        >
          <p>
            Whatever uses <strong>{dropping.label}</strong> can no longer sign in.
          </p>
        </Confirm>
      )}
    </>
  );
}

function CredentialList({ all, onDrop }: { all: Credential[]; onDrop: (credential: Credential) => void }) {
  if (all.length === 0) return <p class="muted">None yet.</p>;
  return (
    <ul class="items">
      {all.map((credential) => (
        <li key={credential.id}>
          <div>
            <strong>{credential.label}</strong>
            <small class="muted">
              {KIND[credential.kind]} <span class="mono">{credential.prefix}…</span> {credential.scopes.join(", ")}
            </small>
          </div>
          <Button look="quiet" icon="trash" onClick={() => onDrop(credential)}>
            Revoke
          </Button>
        </li>
      ))}
    </ul>
  );
}

function NewCredential({ onMade }: { onMade: (secret: string, kind: Credential["kind"]) => void }) {
  const [kind, setKind] = useState<Credential["kind"]>("api_key");
  const [label, setLabel] = useState("");
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set(["mail:read"]));
  const { busy, error, run } = useAction();
  const make = async () => {
    const made = await api.addCredential(kind, label.trim(), kind === "api_key" ? [...scopes] : ["smtp:send"]);
    setLabel("");
    onMade(made.secret, kind);
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void run(make);
      }}
    >
      {error && <Notice kind="error">{error}</Notice>}
      <KindChoice kind={kind} onChange={setKind} />
      {kind === "api_key" && <ScopeChoice scopes={scopes} onChange={setScopes} />}
      <TextField
        label="Label"
        hint="So that you know it again"
        maxLength={80}
        autocomplete="off"
        value={label}
        onInput={(event) => setLabel(event.currentTarget.value)}
      />
      <Button
        type="submit"
        look="primary"
        busy={busy}
        disabled={label.trim() === "" || (kind === "api_key" && scopes.size === 0)}
      >
        Make {KIND[kind]}
      </Button>
    </form>
  );
}

function KindChoice({ kind, onChange }: { kind: Credential["kind"]; onChange: (kind: Credential["kind"]) => void }) {
  return (
    <fieldset>
      <legend>Kind</legend>
      {(["api_key", "app_password"] as const).map((value) => (
        <label class="check" key={value}>
          <input type="radio" name="kind" checked={kind === value} onChange={() => onChange(value)} />
          <span>
            {KIND[value]} <small class="muted">{KIND_USE[value]}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function ScopeChoice({
  scopes,
  onChange,
}: {
  scopes: ReadonlySet<string>;
  onChange: (scopes: ReadonlySet<string>) => void;
}) {
  const toggle = (scope: string, on: boolean) => {
    const next = new Set(scopes);
    if (on) next.add(scope);
    else next.delete(scope);
    onChange(next);
  };
  return (
    <fieldset>
      <legend>It may</legend>
      {SCOPES.map(([scope, text]) => (
        <label class="check" key={scope}>
          <input
            type="checkbox"
            checked={scopes.has(scope)}
            onChange={(event) => toggle(scope, event.currentTarget.checked)}
          />
          <span>
            <code>{scope}</code> <small class="muted">{text}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
