/** Cases of disclosure, for officers: one opens a case for an order, another approves it, and what the order gets is saved. */
import { useState } from "preact/hooks";
import { longDay } from "../lib/format";
import { toast } from "../state/toast";
import { Confirm, Dialog } from "../ui/dialog";
import { Button, Empty, Notice } from "../ui/parts";
import { TextArea } from "../ui/text-area";
import { useAction } from "../ui/use-action";
import { NewCase } from "./disclosure-new";
import { Answer } from "./parts";
import { disclosure, policy, type Case, type PolicyDocument } from "./rights-api";
import { useAsk } from "./use-ask";
import { moment, title } from "./words";
import "../styles/rights.css";

const EVERY_MS = 60_000;

const STATE: Record<Case["state"], { word: string; tone: string }> = {
  open: { word: "Waits for another officer", tone: "warning" },
  approved: { word: "Approved", tone: "" },
  exported: { word: "Handed over", tone: "" },
  refused: { word: "Refused", tone: "old" },
  closed: { word: "Closed", tone: "old" },
  lapsed: { word: "Lapsed", tone: "old" },
};

export function DisclosureSection() {
  const asked = useAsk(disclosure.list, "cases", EVERY_MS);
  const text = useAsk(policy.document, "document").value;
  return (
    <>
      <p class="lead muted">
        Two different officers are needed for anything to leave this platform. What leaves is mail as it is stored, sealed to its
        owner, and the few facts that the policy allows. Every step is written in the ledger.
      </p>
      <Answer asked={asked}>
        {(cases) => (
          <>
            {cases.length === 0 && <Empty icon="shield" title="There is no case" />}
            {cases.map((one) => (
              <CaseCard key={one.id} one={one} text={text} onChange={asked.reload} />
            ))}
          </>
        )}
      </Answer>
      {text && <NewCase text={text} onOpened={asked.reload} />}
    </>
  );
}

interface CaseProps {
  one: Case;
  text: PolicyDocument | null;
  onChange: () => void;
}

function CaseCard({ one, text, onChange }: CaseProps) {
  const { word, tone } = STATE[one.state];
  const names = one.data_classes.map((name) => text?.classes?.[name]?.title ?? title(name));
  const facts: [string, string][] = [
    ["Account", one.address],
    ["Legal basis", text?.disclosure?.legal_bases?.[one.legal_basis] ?? title(one.legal_basis)],
    ["Period", `${longDay(new Date(one.since))} to ${longDay(new Date(Date.parse(one.until) - 1))}`],
    ["What", names.join(", ")],
    ["The user is told", one.told ? `told ${moment(one.told)}` : one.secret_until ? `from ${longDay(new Date(one.secret_until))} on` : "with the decision"],
    ["Opened", `${moment(one.opened)}${one.opened_by_me ? ", by you" : ""}`],
  ];
  if (one.decided) facts.push(["Decided", moment(one.decided)]);
  if (one.refusal) facts.push(["Reason", one.refusal]);
  return (
    <section class="card case" aria-label={`Case ${one.order_reference}`}>
      <header class="card-head">
        <h2>
          {one.order_reference} <span class={`badge ${tone}`}>{word}</span>
        </h2>
      </header>
      <dl class="facts-line">
        {facts.map(([name, said]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{said}</dd>
          </div>
        ))}
      </dl>
      {one.archive_sha256 && (
        <p class="hint">
          SHA-256 of the archive: <code>{one.archive_sha256}</code>
        </p>
      )}
      <Deeds one={one} onChange={onChange} />
    </section>
  );
}

type Asking = "approve" | "refuse" | "close";

function Deeds({ one, onChange }: { one: Case; onChange: () => void }) {
  const [asking, ask] = useState<Asking | null>(null);
  const { busy, error, run } = useAction();
  const done = (work: Promise<Case>, said: string) =>
    void run(async () => {
      await work;
      toast(said);
      onChange();
    });
  const approved = one.state === "approved" || one.state === "exported";
  if (one.state !== "open" && !approved) return null;
  return (
    <>
      {error && <Notice kind="error">{error}</Notice>}
      <div class="row">
        {one.state === "open" && !one.opened_by_me && (
          <Button class="small" look="primary" busy={busy} onClick={() => ask("approve")}>
            Approve
          </Button>
        )}
        {one.state === "open" && (
          <Button class="small" busy={busy} onClick={() => ask("refuse")}>
            Refuse
          </Button>
        )}
        {approved && (
          <>
            {/* The state changes with the first archive that is made. */}
            <a class="button small primary" href={disclosure.archive(one.id)} download onClick={() => setTimeout(onChange, 2_000)}>
              Save the archive
            </a>
            <Button class="small" busy={busy} onClick={() => ask("close")}>
              Close the case
            </Button>
          </>
        )}
        {one.state === "open" && one.opened_by_me && <span class="hint">Another officer has to approve what you have opened.</span>}
      </div>
      {asking === "refuse" && (
        <Refuse onRefuse={(reason) => done(disclosure.refuse(one.id, reason), "Refused")} onClose={() => ask(null)} />
      )}
      {asking === "approve" && (
        <Confirm
          title="Approve this case?"
          action="Approve"
          onConfirm={() => done(disclosure.approve(one.id), "Approved")}
          onClose={() => ask(null)}
        >
          <p>
            You confirm that you have seen the order {one.order_reference} and that it covers the data of{" "}
            <span class="address">{one.address}</span> of this period.
          </p>
        </Confirm>
      )}
      {asking === "close" && (
        <Confirm
          title="Close this case?"
          action="Close it"
          onConfirm={() => done(disclosure.close(one.id), "Closed")}
          onClose={() => ask(null)}
        >
          <p>No archive is made of it any more. The user is told as soon as the order allows it.</p>
        </Confirm>
      )}
    </>
  );
}

function Refuse({ onRefuse, onClose }: { onRefuse: (reason: string) => void; onClose: () => void }) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title="Refuse this case?" onClose={onClose}>
      <TextArea label="Why" value={reason} most={500} onInput={setReason} />
      <footer>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          look="danger"
          disabled={!reason.trim()}
          onClick={() => {
            onClose();
            onRefuse(reason.trim());
          }}
        >
          Refuse
        </Button>
      </footer>
    </Dialog>
  );
}
