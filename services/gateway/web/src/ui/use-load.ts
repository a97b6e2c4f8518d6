/** What a view asks the server for when it is shown: the answer, what went wrong, and asking again. */
import { useEffect, useState } from "preact/hooks";

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  busy: boolean;
  reload: () => void;
  set: (value: T) => void;
}

/** An answer that comes after the view is gone, or after a later question, is dropped. */
export function useLoad<T>(ask: () => Promise<T>): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(true);
  const [asked, again] = useState(0);
  useEffect(() => {
    let current = true;
    setBusy(true);
    setError(null);
    ask()
      .then((found) => current && setValue(() => found))
      .catch((failure: unknown) => current && setError(failure))
      .finally(() => current && setBusy(false));
    return () => void (current = false);
  }, [asked]);
  return { value, error, busy, reload: () => again((n) => n + 1), set: (next) => setValue(() => next) };
}
