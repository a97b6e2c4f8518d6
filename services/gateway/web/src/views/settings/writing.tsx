/** What stands in every message one writes: name and signature; and whether correspondents are remembered. */
import { useEffect, useState } from "preact/hooks";
import { NO_WRITING, sharedWriting, writing, type Writing } from "../../state/keeping";
import { toast } from "../../state/toast";
import { Button, Failure, Notice, TextField, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";

export function WritingSection() {
  const [failure, setFailure] = useState<unknown>(null);
  const load = () => {
    setFailure(null);
    sharedWriting.load().catch(setFailure);
  };
  useEffect(load, []);
  if (failure && !writing.value) return <Failure error={failure} retry={load} />;
  if (!writing.value) return <Waiting />;
  return <WritingForm before={writing.value ?? NO_WRITING} />;
}

function WritingForm({ before }: { before: Writing }) {
  const [name, setName] = useState(before.name);
  const [signature, setSignature] = useState(before.signature);
  const [remember, setRemember] = useState(before.remember);
  const { busy, error, submit } = useAction();
  const save = async () => {
    await sharedWriting.update(() => ({ name: name.trim(), signature: signature.trimEnd(), remember }));
    toast("Saved");
  };
  return (
    <section class="card">
      <form class="form" onSubmit={submit(save)}>
        {error && <Notice kind="error">{error}</Notice>}
        <TextField
          label="Your name"
          hint="Stands beside your address in what you send"
          autocomplete="name"
          autocapitalize="words"
          maxLength={100}
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <div class="field">
          <label for="signature">Signature</label>
          <textarea
            id="signature"
            class="text-box"
            rows={4}
            maxLength={2000}
            value={signature}
            onInput={(event) => setSignature(event.currentTarget.value)}
          />
        </div>
        <label class="check">
          <input type="checkbox" checked={remember} onChange={(event) => setRemember(event.currentTarget.checked)} />
          <span>Remember whom I write to, to suggest them</span>
        </label>
        <Button type="submit" look="primary" busy={busy}>
          Save
        </Button>
      </form>
      <p class="hint">Sealed with your key: the server stores it but cannot read it.</p>
    </section>
  );
}
