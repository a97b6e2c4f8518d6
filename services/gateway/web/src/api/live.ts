/**
 * Live updates over one event stream. The browser reconnects by itself; what it could not deliver meanwhile is made good by
 * asking again after every reconnection. Where the stream is refused for good, it is tried again with growing pauses.
 */

export interface LiveHandlers {
  stored(event: { id: string; folder: string }): void;
  /** The stream is back after a gap: what came meanwhile is unknown. */
  resumed(): void;
  connected(up: boolean): void;
}

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 60_000;

/** Opens the stream at `path`; the returned function closes it. */
export function openLive(path: string, handlers: LiveHandlers): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE;
  let opened = false;
  const open = () => {
    source = new EventSource(path);
    source.onopen = () => {
      pause = FIRST_PAUSE;
      handlers.connected(true);
      if (opened) handlers.resumed();
      opened = true;
    };
    source.addEventListener("stored", (event: MessageEvent<string>) => {
      const data = parse(event.data);
      if (data) handlers.stored(data);
    });
    source.onerror = () => {
      handlers.connected(false);
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, pause * (0.5 + Math.random() / 2));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}

function parse(text: string): { id: string; folder: string } | null {
  try {
    const value = JSON.parse(text) as { id?: unknown; folder?: unknown };
    if (typeof value.id !== "string") return null;
    return { id: value.id, folder: typeof value.folder === "string" ? value.folder : "inbox" };
  } catch {
    return null;
  }
}
