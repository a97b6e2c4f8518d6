/**
 * Calls into a worker: one message per call, matched by number, each with a time limit.
 *
 * A worker is ours to end: `close` terminates it and with it everything it held (keys, plaintext), and every call that waits
 * fails. A call that passes its time limit ends the worker too, since a worker that computes cannot be asked to stop.
 */
import { startWorker } from "./trusted";

export class WorkerFailure extends Error {
  /** @param reason a stable word, e.g. "timeout", "closed", or what the worker said */
  constructor(readonly reason: string) {
    super(reason);
    this.name = "WorkerFailure";
  }
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export interface Answer {
  call: number;
  value?: unknown;
  failed?: string;
}

export type Handlers = Record<string, (argument: never) => unknown>;

export class WorkerCalls<H extends Handlers> {
  private worker: Worker | null = null;
  private waiting = new Map<number, Waiting>();
  private next = 1;

  constructor(private readonly url: string) {}

  /** Calls `method` with `argument`. @throws WorkerFailure on failure inside, on time-out (milliseconds), on `close`. */
  call<M extends keyof H & string>(
    method: M,
    argument: Parameters<H[M]>[0],
    options: { timeout: number; transfer?: Transferable[] },
  ): Promise<Awaited<ReturnType<H[M]>>> {
    const worker = (this.worker ??= this.start());
    const call = this.next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close("timeout"), options.timeout);
      this.waiting.set(call, { resolve: resolve as (value: unknown) => void, reject, timer });
      worker.postMessage({ call, method, argument }, options.transfer ?? []);
    });
  }

  close(reason = "closed"): void {
    this.worker?.terminate();
    this.worker = null;
    for (const waiting of this.waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new WorkerFailure(reason));
    }
    this.waiting.clear();
  }

  private start(): Worker {
    const worker = startWorker(this.url);
    worker.onmessage = (event: MessageEvent<Answer>) => this.settle(event.data);
    worker.onerror = () => this.close("worker_failed");
    return worker;
  }

  private settle(answer: Answer): void {
    const waiting = this.waiting.get(answer.call);
    if (!waiting) return;
    this.waiting.delete(answer.call);
    clearTimeout(waiting.timer);
    if (answer.failed === undefined) waiting.resolve(answer.value);
    else waiting.reject(new WorkerFailure(answer.failed));
  }
}

/** Names buffers that an answer hands over instead of copying. */
export class Handover<T> {
  constructor(
    readonly value: T,
    readonly transfer: Transferable[],
  ) {}
}

/** Serves calls inside a worker; a failure is told by its `reason` or class, never by its text. */
export function serve(handlers: Handlers): void {
  const port = globalThis as unknown as DedicatedWorker;
  port.onmessage = async (event) => {
    const { call, method, argument } = event.data;
    try {
      const handler = handlers[method];
      if (!handler) throw new WorkerFailure("unknown_method");
      const value = await handler(argument as never);
      if (value instanceof Handover) port.postMessage({ call, value: value.value }, value.transfer);
      else port.postMessage({ call, value });
    } catch (error) {
      port.postMessage({ call, failed: reasonOf(error) });
    }
  };
}

interface DedicatedWorker {
  onmessage: ((event: MessageEvent<{ call: number; method: string; argument: unknown }>) => void) | null;
  postMessage(message: Answer, transfer?: Transferable[]): void;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && "reason" in error) return String(error.reason);
  return error instanceof Error ? error.name : "failed";
}
