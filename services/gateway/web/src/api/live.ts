/**
 * Live updates over one event stream. The browser reconnects by itself; what it could not deliver meanwhile is made good by
 * asking again each time the stream opens. Where the stream is refused, it is tried again with growing pauses.
 */

export interface LiveHandlers {
  stored(event: { id: string; folder: string }): void;
  /** The stream is open, for the first time or again: what came before is to be asked for. */
  opened(): void;
  connected(up: boolean): void;
  /** The server refused the stream: the session may have ended. */
  refused?(): void;
}

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 60_000;
const GRACE = 400;

/** Opens the stream at `path`; the returned function closes it. */
export function openLive(path: string, handlers: LiveHandlers): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE;
  const open = () => {
    source = new EventSource(path);
    source.onopen = () => {
      pause = FIRST_PAUSE;
      handlers.connected(true);
      handlers.opened();
    };
    source.addEventListener("stored", (event: MessageEvent<string>) => {
      const data = parse(event.data);
      if (data) handlers.stored(data);
    });
    source.onerror = () => {
      handlers.connected(false);
      if (source?.readyState !== EventSource.CLOSED) return;
      handlers.refused?.();
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

/**
 * Loads once the stream is open, so that nothing falls between the list and the stream; but a stream that is slow to open does
 * not keep the list waiting: then it is loaded at once, and again, quietly, when the stream has opened.
 */
export class FirstLoad {
  private begun = false;
  private timer: ReturnType<typeof setTimeout>;

  constructor(private readonly load: (quiet: boolean) => void) {
    this.timer = setTimeout(() => this.begin(), GRACE);
  }

  opened(): void {
    if (this.begun) this.load(true);
    else this.begin();
  }

  cancel(): void {
    clearTimeout(this.timer);
  }

  private begin(): void {
    clearTimeout(this.timer);
    if (this.begun) return;
    this.begun = true;
    this.load(false);
  }
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
