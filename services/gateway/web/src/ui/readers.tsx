/** "Who can read this": what is stored of one message and in which form, who holds a key, which services touched it. */
import { useEffect, useState } from "preact/hooks";
import type { Readers } from "../api/types";
import { longTime } from "../lib/format";
import { Dialog } from "./dialog";
import { Icon } from "./icon";
import { Failure, Waiting } from "./parts";

const SAW: Record<string, string> = {
  plaintext: "saw it open, in memory",
  ciphertext: "has only ever seen it sealed",
  routing: "saw only where it goes",
};

export function ReadersDialog({ load, onClose }: { load: () => Promise<Readers>; onClose: () => void }) {
  const [readers, setReaders] = useState<Readers | null>(null);
  const [error, setError] = useState<unknown>(null);
  const fetch = () => {
    setError(null);
    load().then(setReaders, setError);
  };
  useEffect(fetch, []);
  return (
    <Dialog title="Who can read this" wide onClose={onClose}>
      {error ? <Failure error={error} retry={fetch} /> : readers ? <ReadersView readers={readers} /> : <Waiting />}
    </Dialog>
  );
}

function ReadersView({ readers }: { readers: Readers }) {
  return (
    <div class="readers" data-testid="readers">
      <section>
        <h3>Who holds a key</h3>
        <ul class="plain">
          {readers.key_holders.map((holder) => (
            <li key={holder.who}>
              <Icon name="key" size={18} />
              <span>
                <strong>{holder.who}</strong> {holder.how}
              </span>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h3>Which services touched it</h3>
        <ul class="plain">
          {readers.services.map((service) => (
            <li key={service.name}>
              <Icon name={service.saw === "plaintext" ? "eye" : "lock"} size={18} />
              <span>
                <strong>{service.name}</strong> {SAW[service.saw] ?? service.saw}
                {service.when && `: ${service.when}`}
              </span>
            </li>
          ))}
        </ul>
      </section>
      <StoredTable stored={readers.stored} />
      <section>
        <h3>When it goes</h3>
        <p>
          {readers.expires
            ? `It expires on ${longTime(new Date(readers.expires))}. `
            : "It stays until you delete it. "}
          {readers.deletion}
        </p>
      </section>
    </div>
  );
}

function StoredTable({ stored }: { stored: Readers["stored"] }) {
  return (
    <section>
      <h3>What is stored</h3>
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Form</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {stored.map((entry) => (
            <tr key={entry.field}>
              <th scope="row">{entry.field}</th>
              <td>
                <span class={`tag form-${entry.form}`}>{entry.form}</span>
              </td>
              <td>{entry.why}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
