import { useState } from "preact/hooks";
import { asSentence } from "../../api/http";

export interface Action {
  busy: boolean;
  error: string;
  run: (work: () => Promise<void>) => Promise<void>;
}

/** Runs one piece of work at a time, and keeps what went wrong as a sentence. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    setError("");
    try {
      await work();
    } catch (failure) {
      setError(asSentence(failure));
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run };
}
