/** The view in which a mail is written: takes up the one that its path names, and keeps it when one looks elsewhere. */
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/http";
import { navigate, path } from "../lib/router";
import { startMailbox } from "../state/mailbox";
import type { Composer } from "../state/composer";
import { composerOf, leave, takeUp, write } from "../state/write";
import { useTitle } from "../ui/frame";
import { Empty, Failure, Waiting } from "../ui/parts";
import { ComposerForm } from "./write/form";
import { Sidebar } from "./mail/sidebar";
import { MailTop } from "./mail/top";
import "../styles/mail.css";
import "../styles/write.css";

export default function WriteView({ id }: { id: string }) {
  const [menu, setMenu] = useState(false);
  useEffect(startMailbox, []);
  return (
    <div class="mailbox writing">
      <MailTop onMenu={() => setMenu(true)} plain />
      <div class="body">
        <Sidebar current={composerOf(id)?.draftId ? "drafts" : ""} open={menu} onClose={() => setMenu(false)} />
        <main id="content" class="write-pane" tabIndex={-1}>
          <Writing id={id} />
        </main>
      </div>
    </div>
  );
}

/** A composer by its key, or by the id of its draft, which changes with each keeping. */
function useComposer(id: string): { composer: Composer | null; error: unknown; retry: () => void } {
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  const composer = composerOf(id);
  useEffect(() => {
    if (composer) return;
    setError(null);
    if (!/^[0-9a-f]{32}$/.test(id)) void write({}, { replace: true });
    else void takeUp(id).then(() => setAttempt(attempt + 1), setError);
  }, [id, attempt, composer === null]);
  return { composer, error, retry: () => setAttempt(attempt + 1) };
}

function Writing({ id }: { id: string }) {
  const { composer, error, retry } = useComposer(id);
  useTitle(composer?.subject.value || "New message");
  if (composer) return <Kept key={composer.key} composer={composer} />;
  if (error instanceof ApiError && error.status === 404) return <Empty alone icon="draft" title="This draft is gone" />;
  if (error) return <Failure error={error} retry={retry} />;
  return <Waiting text="Opening" />;
}

/** The path follows the draft, so that a reload finds it; leaving keeps it. */
function Kept({ composer }: { composer: Composer }) {
  const saving = composer.saving.value;
  useEffect(() => {
    if (saving === "kept" && path.value.startsWith("/write/"))
      navigate(`/write/${composer.draftId}`, { replace: true });
  }, [saving, composer.draftId]);
  useEffect(() => () => void leave(composer), []);
  return <ComposerForm composer={composer} />;
}
