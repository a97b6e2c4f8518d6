/** What a section asks the server for: again when its question changes, and every now and then where it says so. */
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/http";
import { resume } from "./staff";

export interface Asked<T> {
  value: T | null;
  error: unknown;
  busy: boolean;
  reload: () => void;
  set: (value: T) => void;
}

/**
 * The last answer stays while the next is awaited, unless the question is another. A path that is gone says that the
 * session or the role is: who is signed in is then asked anew.
 *
 * @param every milliseconds between two askings, 0 for never; a page that nobody looks at does not ask
 */
export function useAsk<T>(ask: () => Promise<T>, question: string, every = 0): Asked<T> {
  const [state, setState] = useState<{ question: string; value: T | null; error: unknown }>({
    question,
    value: null,
    error: null,
  });
  const [busy, setBusy] = useState(true);
  const [asked, again] = useState(0);
  useEffect(() => {
    let current = true;
    setBusy(true);
    ask()
      .then((value) => current && setState({ question, value, error: null }))
      .catch((error: unknown) => {
        if (!current) return;
        if (error instanceof ApiError && error.reason === "no_such_path") void resume();
        setState((last) => ({ question, value: last.question === question ? last.value : null, error }));
      })
      .finally(() => current && setBusy(false));
    return () => void (current = false);
  }, [question, asked]);
  useEffect(() => {
    if (every === 0) return;
    const timer = setInterval(() => !document.hidden && again((n) => n + 1), every);
    return () => clearInterval(timer);
  }, [every]);
  const fits = state.question === question;
  return {
    value: fits ? state.value : null,
    error: fits ? state.error : null,
    busy,
    reload: () => again((n) => n + 1),
    set: (value) => setState({ question, value, error: null }),
  };
}
