/** Enclosures of a mail that is being written: added by button, by dropping, by pasting; listed with their size. */
import { useRef, useState } from "preact/hooks";
import { bytes } from "../../lib/format";
import { safeFileName } from "../../mail/filename";
import type { Composer } from "../../state/composer";
import { announce } from "../../state/toast";
import { Icon } from "../../ui/icon";
import { IconButton } from "../../ui/parts";

const MOST_FILES = 100;

function attachFiles(composer: Composer, files: File[]): void {
  const room = MOST_FILES - composer.attachments.value.length;
  const taken = files.slice(0, Math.max(0, room));
  composer.attach(taken.map((file) => ({ name: file.name, type: file.type, content: file })));
  if (taken.length > 0) announce(taken.length === 1 ? `${taken[0]!.name} attached` : `${taken.length} files attached`);
}

export function useDrop(composer: Composer) {
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const enter = (by: number) => {
    depth.current = Math.max(0, depth.current + by);
    setOver(depth.current > 0);
  };
  const events = {
    onDragEnter: (event: DragEvent) => carriesFiles(event) && enter(1),
    onDragLeave: (event: DragEvent) => carriesFiles(event) && enter(-1),
    onDragOver: (event: DragEvent) => carriesFiles(event) && event.preventDefault(),
    onDrop: (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth.current = 0;
      setOver(false);
      attachFiles(composer, Array.from(event.dataTransfer?.files ?? []));
    },
  };
  return { over, events };
}

export function AttachButton({ composer, disabled }: { composer: Composer; disabled: boolean }) {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={picker}
        type="file"
        multiple
        class="visually-hidden"
        tabIndex={-1}
        aria-label="Files to attach"
        onChange={(event) => {
          attachFiles(composer, Array.from(event.currentTarget.files ?? []));
          event.currentTarget.value = "";
        }}
      />
      <IconButton icon="paperclip" label="Attach files" disabled={disabled} onClick={() => picker.current?.click()} />
    </>
  );
}

export function AttachmentList({ composer }: { composer: Composer }) {
  if (composer.attachments.value.length === 0) return null;
  return (
    <ul class="write-attachments" aria-label="Attachments">
      {composer.attachments.value.map((one) => (
        <li key={one.id}>
          <Icon name={one.type.startsWith("image/") ? "image" : "paperclip"} size={17} />
          <span class="attachment-name">
            <bdi>{safeFileName(one.name)}</bdi> <small>{bytes(one.content.size)}</small>
          </span>
          <IconButton icon="close" label={`Remove ${safeFileName(one.name)}`} onClick={() => composer.detach(one.id)} />
        </li>
      ))}
    </ul>
  );
}
