/** The space used, drawn to scale. */
import { bytes } from "../../lib/format";
import { folders, usage } from "../../state/mailbox";
import { Waiting } from "../../ui/parts";

export function StorageSection() {
  const box = usage.value;
  if (!box) return <Waiting />;
  return (
    <>
      <section class="card">
        <Bar label="Space" used={box.used_bytes} quota={box.quota_bytes} show={bytes} />
        <Bar label="Messages" used={box.used_messages} quota={box.quota_messages} show={(n) => n.toLocaleString()} />
      </section>
      <section class="card">
        <h2>Messages by folder</h2>
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">Folder</th>
              <th scope="col">Messages</th>
              <th scope="col">Unread</th>
            </tr>
          </thead>
          <tbody>
            {folders.value.map((folder) => (
              <tr key={folder.id}>
                <th scope="row">{folder.name}</th>
                <td>{folder.messages.toLocaleString()}</td>
                <td>{folder.unseen.toLocaleString()}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

function Bar({
  label,
  used,
  quota,
  show,
}: {
  label: string;
  used: number;
  quota: number;
  show: (n: number) => string;
}) {
  const share = quota > 0 ? Math.min(1, used / quota) : 0;
  return (
    <div class="bar">
      <p>
        <strong>{label}</strong>
        <span>
          {show(used)}
          {quota > 0 && ` of ${show(quota)}`}
        </span>
      </p>
      {quota > 0 && <meter min={0} max={1} high={0.9} optimum={0} value={share} aria-label={`${label} used`} />}
    </div>
  );
}
