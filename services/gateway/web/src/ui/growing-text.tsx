/** A text field that is as high as its text; it never scrolls on its own. */
import type { Signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

interface Props {
  label: string;
  value: Signal<string>;
  autoFocus: boolean;
  onFiles: (files: File[]) => void;
}

export function GrowingText({ label, value, autoFocus, onFiles }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const fit = () => {
    const element = area.current;
    if (!element) return;
    // Shrinking first would move what is scrolled; the page's place is put back.
    const box = element.closest<HTMLElement>(".write-scroll");
    const top = box?.scrollTop ?? 0;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight + 2}px`;
    if (box) box.scrollTop = top;
  };
  useLayoutEffect(fit, [value.value]);
  useEffect(() => {
    addEventListener("resize", fit);
    if (autoFocus) {
      area.current?.focus({ preventScroll: true });
      area.current?.setSelectionRange(0, 0);
    }
    return () => removeEventListener("resize", fit);
  }, []);
  return (
    <textarea
      ref={area}
      class="write-text"
      aria-label={label}
      placeholder="Write"
      rows={8}
      spellcheck
      value={value.value}
      onInput={(event) => (value.value = event.currentTarget.value)}
      onPaste={(event) => {
        const files = Array.from(event.clipboardData?.files ?? []);
        if (files.length === 0) return;
        event.preventDefault();
        onFiles(files);
      }}
    />
  );
}
