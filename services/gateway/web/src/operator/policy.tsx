/** Versions of the policy: what each changes, what state it is in, and the next step that it may take. */
import { useState } from "preact/hooks";
import { longDay } from "../lib/format";
import { toast } from "../state/toast";
import { Confirm } from "../ui/dialog";
import { Button, Empty, Notice } from "../ui/parts";
import { useAction } from "../ui/use-action";
import { marked, type Piece } from "./marked";
import { Answer } from "./parts";
import { policy, type Change, type Version } from "./rights-api";
import { useAsk } from "./use-ask";
import { count, title } from "./words";

const EVERY_MS = 60_000;

const STATE: Record<Version["state"], { word: string; tone: string }> = {
  proposed: { word: "Proposed", tone: "warning" },
  announced: { word: "Announced", tone: "warning" },
  active: { word: "In force", tone: "" },
  replaced: { word: "Replaced", tone: "old" },
  withdrawn: { word: "Withdrawn", tone: "old" },
};

export function PolicySection() {
  const asked = useAsk(policy.versions, "versions", EVERY_MS);
  return (
    <Answer asked={asked}>
      {(versions) =>
        versions.length === 0 ? (
          <Empty icon="shield" title="No version is known yet" />
        ) : (
          <>
            <p class="lead muted">
              A version that takes something from its users, or asks for more, takes effect only when everybody whom it affects
              has had notice for as long as promised. Whoever refuses it keeps the old terms for a time.
            </p>
            {versions.map((one) => (
              <VersionCard key={one.version} version={one} onChange={asked.reload} />
            ))}
          </>
        )
      }
    </Answer>
  );
}

function VersionCard({ version, onChange }: { version: Version; onChange: () => void }) {
  const { word, tone } = STATE[version.state];
  const old = version.state === "replaced" || version.state === "withdrawn";
  return (
    <section class="card version" aria-label={`Version ${version.version}`}>
      <header class="card-head">
        <h2>
          Version {version.version} <span class={`badge ${tone}`}>{word}</span>
          {version.material && <span class="badge bad">Less for users</span>}
        </h2>
        <a href={`/privacy?version=${version.version}`} target="_blank" rel="noreferrer">
          As its users see it
        </a>
      </header>
      <Dates version={version} />
      {version.changes.length > 0 && (
        <details open={!old && version.state !== "active"}>
          <summary>
            {version.changes.length === 1 ? "1 change" : `${version.changes.length} changes`} against version{" "}
            {version.replaces ?? version.version - 1}
          </summary>
          {version.changes.map((change, i) => (
            <Difference key={i} change={change} />
          ))}
        </details>
      )}
      <Steps version={version} onChange={onChange} />
    </section>
  );
}

function Dates({ version }: { version: Version }) {
  const facts: [string, string][] = [];
  const add = (word: string, time: string | null) => time && facts.push([word, longDay(new Date(time))]);
  add("Proposed", version.proposed);
  add("Announced", version.announced);
  if (version.state === "announced") add("Earliest in force", version.earliest);
  add("In force since", version.activated);
  if (version.announced && version.material) {
    facts.push(["Had notice", count(version.noticed)], ["Refused", count(version.refused)]);
  }
  return (
    <dl class="facts-line">
      {facts.map(([word, said]) => (
        <div key={word}>
          <dt>{word}</dt>
          <dd>{said}</dd>
        </div>
      ))}
    </dl>
  );
}

function Difference({ change }: { change: Change }) {
  const { before, after } = marked(change.before, change.after);
  return (
    <article class={`difference ${change.material ? "material" : ""}`}>
      <h3>
        {title(change.subject)} <span class="muted">{title(change.kind).toLowerCase()}</span>
        {change.material && <span class="badge bad">Less for users</span>}
      </h3>
      <div class="sides">
        <p>
          <Side name="Before" pieces={before} as="del" />
        </p>
        <p>
          <Side name="After" pieces={after} as="ins" />
        </p>
      </div>
      {change.profiles.length > 0 && <p class="hint">For: {change.profiles.join(", ")}</p>}
    </article>
  );
}

function Side({ name, pieces, as: Mark }: { name: string; pieces: Piece[]; as: "ins" | "del" }) {
  return (
    <>
      <small class="muted">{name}</small>
      {pieces.length === 0 ? (
        <span class="muted">Nothing</span>
      ) : (
        pieces.map(({ text, changed }, i) => (changed ? <Mark key={i}>{text}</Mark> : text))
      )}
    </>
  );
}

type Step = "announce" | "activate" | "withdraw";

const STEPS: Record<Step, { word: string; title: string; said: string; done: string }> = {
  announce: {
    word: "Announce",
    title: "Announce this version?",
    said: "Everybody whom it affects gets a notice, in the page and by mail. The time of the notices begins now.",
    done: "The notices go out",
  },
  activate: {
    word: "Put in force",
    title: "Put this version in force?",
    said: "It holds from now on for everybody who has not refused it. A version is never changed again once it was in force.",
    done: "It is in force",
  },
  withdraw: {
    word: "Withdraw",
    title: "Withdraw this version?",
    said: "It will never take effect. Whoever has had its notice sees no more of it.",
    done: "It is withdrawn",
  },
};

const NEXT: Partial<Record<Version["state"], Step>> = { proposed: "announce", announced: "activate" };

function Steps({ version, onChange }: { version: Version; onChange: () => void }) {
  const [asking, ask] = useState<Step | null>(null);
  const { busy, error, run } = useAction();
  const next = NEXT[version.state];
  if (!next) return null;
  const early = next === "activate" && version.earliest !== null && new Date(version.earliest) > new Date();
  const take = (step: Step) =>
    void run(async () => {
      await policy.step(version.version, step);
      toast(STEPS[step].done);
      onChange();
    });
  return (
    <>
      {error && <Notice kind="error">{error}</Notice>}
      <div class="row">
        <Button class="small" look="primary" busy={busy} disabled={early} onClick={() => ask(next)}>
          {STEPS[next].word}
        </Button>
        <Button class="small" busy={busy} onClick={() => ask("withdraw")}>
          {STEPS.withdraw.word}
        </Button>
        {early && <span class="hint">Notices run until {longDay(new Date(version.earliest!))}.</span>}
      </div>
      {asking && (
        <Confirm
          title={STEPS[asking].title}
          action={STEPS[asking].word}
          danger={asking === "withdraw"}
          onConfirm={() => take(asking)}
          onClose={() => ask(null)}
        >
          <p>
            Version {version.version}: {STEPS[asking].said}
          </p>
        </Confirm>
      )}
    </>
  );
}
