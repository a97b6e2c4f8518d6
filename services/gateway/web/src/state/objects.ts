/**
 * What is kept beside mail: one sealed object, changed by applying a change to what is there. When somebody else (another page
 * of the same owner) was faster, the change is applied to what that one left: nothing of either is lost.
 */
import { ApiError } from "../api/http";

export interface ObjectStore<T> {
  /** null where there is none yet */
  get(): Promise<{ value: T | null; version: number }>;
  /** @throws ApiError 409 "version" when `version` is not the current one */
  put(value: T, version: number): Promise<number>;
}

const TRIES = 5;

export class SharedObject<T> {
  private known: { value: T; version: number } | null = null;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly store: ObjectStore<T>,
    private readonly empty: T,
    private readonly changed: (value: T) => void,
  ) {}

  async load(): Promise<T> {
    const { value, version } = await this.store.get();
    return this.take(value ?? this.empty, version);
  }

  /** Applies `change` and keeps the result; one after the other. A change that returns what it got keeps nothing. */
  update(change: (value: T) => T): Promise<T> {
    const run = this.last.then(() => this.apply(change));
    this.last = run.catch(() => undefined);
    return run;
  }

  forget(): void {
    this.known = null;
  }

  private async apply(change: (value: T) => T): Promise<T> {
    for (let left = TRIES; ; left--) {
      if (!this.known) await this.load();
      const { value, version } = this.known!;
      const next = change(value);
      if (next === value) return value;
      try {
        return this.take(next, await this.store.put(next, version));
      } catch (error) {
        this.known = null;
        if (left <= 1 || !(error instanceof ApiError && error.status === 409)) throw error;
      }
    }
  }

  private take(value: T, version: number): T {
    this.known = { value, version };
    this.changed(value);
    return value;
  }
}
