/** One piece of work that a form does: one at a time, and what went wrong as a sentence. */
import { useState } from "preact/hooks";
import { ApiError, asSentence } from "../api/http";

export interface Action {
  busy: boolean;
  error: string;
  /** Whether it went well. */
  run: (work: () => Promise<void>) => Promise<boolean>;
  /** For a form's onSubmit. */
  submit: (work: () => Promise<void>) => (event: Event) => void;
}

/** @param refused what a 401 means here, where it means more than an ended session */
export function useAction(refused = ""): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    setBusy(true);
    setError("");
    try {
      await work();
      return true;
    } catch (failure) {
      setError(refused && failure instanceof ApiError && failure.status === 401 ? refused : asSentence(failure));
      return false;
    } finally {
      setBusy(false);
    }
  };
  const submit = (work: () => Promise<void>) => (event: Event) => {
    event.preventDefault();
    if (!busy) void run(work);
  };
  return { busy, error, run, submit };
}
