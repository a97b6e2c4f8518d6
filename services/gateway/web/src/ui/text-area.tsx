/** A field of several lines with its label. */
import { useId } from "preact/hooks";

interface Props {
  label: string;
  value: string;
  most: number;
  hint?: string;
  onInput: (text: string) => void;
}

export function TextArea({ label, value, most, hint, onInput }: Props) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        class="text-box"
        rows={4}
        maxLength={most}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
