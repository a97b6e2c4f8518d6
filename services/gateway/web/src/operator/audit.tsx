/** Who read what, and when, the newest first. */
import { useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { toast } from "../state/toast";
import { Button, Empty } from "../ui/parts";
import { operator } from "./api";
import { Answer, Card } from "./parts";
import type { AuditEntry, AuditPage } from "./types";
import { useAsk } from "./use-ask";
import { deedWord, moment, title } from "./words";

export function AuditSection() {
  const asked = useAsk(() => operator.audit(null), "audit");
  return <Answer asked={asked}>{(first) => <Shown first={first} />}</Answer>;
}

function Shown({ first }: { first: AuditPage }) {
  const [pages, setPages] = useState([first]);
  const [busy, setBusy] = useState(false);
  const entries = pages.flatMap((page) => page.entries);
  const next = pages.at(-1)!.next_before;
  const more = async () => {
    setBusy(true);
    try {
      const page = await operator.audit(next);
      setPages((known) => [...known, page]);
    } catch (error) {
      toast(asSentence(error), { kind: "error" });
    } finally {
      setBusy(false);
    }
  };
  if (entries.length === 0) return <Empty icon="clock" title="Nobody has read anything yet" />;
  return (
    <Card title="Who read what">
      <p class="muted">Every read of statistics, of the budget and of this audit, and every attempt to change who may.</p>
      <table class="figures audit">
        <caption class="visually-hidden">Reads, newest first</caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry, i) => (
            <tr key={i}>
              <td>{moment(entry.at)}</td>
              <td class="address">{entry.address || `closed account ${entry.account_id.slice(0, 8)}`}</td>
              <td>
                {deedWord(entry.what)}
                {entry.metric && <small class="muted">{about(entry)}</small>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {next && (
        <Button busy={busy} onClick={() => void more()}>
          Show earlier ones
        </Button>
      )}
    </Card>
  );
}

function about({ metric, cut, from, until }: AuditEntry): string {
  const time = from && until ? `, ${moment(from)} to ${moment(until)}` : "";
  return `${title(metric)} ${title(cut).toLowerCase()}${time}`;
}
