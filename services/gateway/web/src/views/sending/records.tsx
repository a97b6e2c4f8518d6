/** DNS records to publish, exactly as they have to stand, and what the last look found of each. */
import type { DnsRecord, RecordState } from "../../api/relay";
import { CopyButton } from "../../ui/copyable";
import { Icon, type IconName } from "../../ui/icon";

const STATES: Record<RecordState, { word: string; icon: IconName; tone: string; means: string }> = {
  ok: { word: "OK", icon: "check", tone: "good", means: "It stands as it should." },
  missing: { word: "Missing", icon: "warning", tone: "bad", means: "There is no such record." },
  wrong: { word: "Wrong", icon: "warning", tone: "bad", means: "There is one, but not this." },
  unreachable: { word: "No answer", icon: "clock", tone: "warn", means: "The name servers did not answer." },
  unchecked: { word: "Not checked", icon: "info", tone: "", means: "Nobody has looked yet." },
};
const PURPOSES: Record<string, [string, string]> = {
  ownership: ["Ownership", "shows that the domain is yours"],
  dkim: ["DKIM", "the key that your mail is signed with"],
  spf: ["SPF", "says that our servers may send for it"],
  dmarc: ["DMARC", "what receivers do with mail that is not signed"],
  mx: ["MX", "where its mail goes"],
  "mta-sts": ["MTA-STS", "that its mail goes encrypted"],
};

export function Badge({ word, icon, tone, title }: { word: string; icon: IconName; tone: string; title?: string }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      <Icon name={icon} size={15} /> {word}
    </span>
  );
}

/** @param good what is said where all is well, else empty */
export function DomainHead({ domain, good, bad }: { domain: string; good: string; bad: string }) {
  return (
    <header class="card-head">
      <h2 class="address">{domain}</h2>
      {good ? <Badge word={good} icon="check" tone="good" /> : <Badge word={bad} icon="warning" tone="warn" />}
    </header>
  );
}

/** The roles are told, since on a telephone the table is drawn as a list. */
export function Records({ domain, records }: { domain: string; records: DnsRecord[] }) {
  return (
    <table class="records" role="table" aria-label={`DNS records of ${domain}`}>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">
            Record
          </th>
          <th role="columnheader" scope="col">
            State
          </th>
          <th role="columnheader" scope="col">
            Name and value
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {records.map((record) => (
          <RecordRow key={`${record.purpose} ${record.name} ${record.value}`} record={record} />
        ))}
      </tbody>
    </table>
  );
}

function RecordRow({ record }: { record: DnsRecord }) {
  const [word, why] = PURPOSES[record.purpose] ?? [record.purpose, ""];
  const state = STATES[record.state] ?? STATES.unchecked;
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {word} <span class="badge plain">{record.type}</span>
        <small class="muted">
          {why}
          {record.required ? "" : "; advised"}
        </small>
      </th>
      <td role="cell">
        <Badge word={state.word} icon={state.icon} tone={state.tone} title={state.means} />
      </td>
      <td role="cell" class="record-text">
        <Part label="Name" text={record.name} what={`the name ${record.name}`} />
        <Part label="Value" text={record.value} what={`the value of ${record.name}, ${word}`} />
      </td>
    </tr>
  );
}

// A key of RSA is longer than all the rest: it scrolls in a box of its own.
const LONG = 160;

function Part({ label, text, what }: { label: string; text: string; what: string }) {
  return (
    <div class="record-part">
      <span class="muted">{label}</span>
      {text.length > LONG ? (
        <code class="long" tabIndex={0} role="group" aria-label={label}>
          {text}
        </code>
      ) : (
        <code>{text}</code>
      )}
      <CopyButton text={text} what={what} />
    </div>
  );
}
