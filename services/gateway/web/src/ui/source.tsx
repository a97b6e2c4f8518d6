/** The source of a mail, as it was received: its beginning as text, all of it as a file. */
import { useEffect, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { bytes } from "../lib/format";
import { saveBytes } from "../lib/download";
import { toast } from "../state/toast";
import { Dialog } from "./dialog";
import { Button, Failure, Waiting } from "./parts";

export interface SourceReader {
  sourceText(): Promise<{ text: string; total: number }>;
  sourceBytes(): Promise<Uint8Array<ArrayBuffer>>;
}

export function SourceDialog({ mail, onClose }: { mail: SourceReader; onClose: () => void }) {
  const [source, setSource] = useState<{ text: string; total: number } | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => void mail.sourceText().then(setSource, setError), [mail]);
  const save = async () => {
    try {
      saveBytes(await mail.sourceBytes(), "message.eml");
    } catch (failure) {
      toast(asSentence(failure), { kind: "error" });
    }
  };
  return (
    <Dialog title="Source" wide onClose={onClose}>
      {error ? <Failure error={error} /> : null}
      {!source && !error && <Waiting />}
      {source && (
        <>
          <pre class="source" tabIndex={0} data-testid="source">
            {source.text}
          </pre>
          {source.text.length < source.total && <p class="hint">The beginning of {bytes(source.total)}.</p>}
        </>
      )}
      <footer>
        <Button icon="download" onClick={() => void save()}>
          Save as file
        </Button>
      </footer>
    </Dialog>
  );
}
