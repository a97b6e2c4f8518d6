import { useEffect, useState } from "preact/hooks";
import type { MessageList, RawMessage, Row } from "../state/list";

/** The row of `id`: out of the list, or asked for alone. "gone" when it exists no more, undefined while nobody knows. */
export function useRow<M extends RawMessage>(list: MessageList<M> | null, id: string): Row | "gone" | undefined {
  const listed = list?.rows.value.find((row) => row.id === id);
  const [found, setFound] = useState<{ id: string; row: Row | "gone" } | null>(null);
  const state = list?.state.value;
  const missing = id !== "" && !listed && (state === "ready" || state === "failed");
  useEffect(() => {
    if (!missing || !list || found?.id === id) return;
    let current = true;
    list
      .find(id)
      .then((row) => current && setFound({ id, row: row ?? "gone" }))
      .catch(() => current && setFound({ id, row: "gone" }));
    return () => void (current = false);
  }, [missing, id, list]);
  return listed ?? (found?.id === id ? found.row : undefined);
}
