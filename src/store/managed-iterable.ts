import { Call } from './call.ts';
import type { Env } from './env.ts';
import type { CallOptions } from './operations.ts';

export interface ManagedIterableInit<T> {
  readonly env: Env;
  readonly operation: string;
  readonly bounds: CallOptions;
  readonly defaultTimeoutMs: number;
  /** The calls of running iterations, so that a closing store can end them. */
  readonly running: Set<Call>;
  checkOpen(): void;
  /** The items, in pages. */
  source(call: Call): AsyncIterable<readonly T[]>;
  /** What the caller gets of an item. */
  give(item: T): T;
}

/**
 * Items of a paged source, one by one: every fetch of a page is bounded by the timeout, ended by
 * the signal or by the store's close, and `return()` frees a fetch that waits. Nothing runs before
 * the first step.
 */
export function managedIterable<T>(init: ManagedIterableInit<T>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => new ManagedIterator(init) };
}

class ManagedIterator<T> implements AsyncIterator<T> {
  readonly #init: ManagedIterableInit<T>;
  #call: Call | undefined;
  #pages: AsyncIterator<readonly T[]> | undefined;
  #page: readonly T[] = [];
  #at = 0;
  #fetching: Promise<boolean> | undefined;
  #returned = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(init: ManagedIterableInit<T>) {
    this.#init = init;
  }

  async next(): Promise<IteratorResult<T>> {
    for (;;) {
      if (this.#returned) return { done: true, value: undefined };
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#call?.throwIfEnded();
      if (this.#at < this.#page.length)
        return { done: false, value: this.#init.give(this.#page[this.#at++] as T) };
      this.#fetching ??= this.#fetch().finally(() => {
        this.#fetching = undefined;
      });
      if (!(await this.#fetching)) return { done: true, value: undefined };
    }
  }

  /** Brings the next page that has items; false at the end. */
  async #fetch(): Promise<boolean> {
    const { env, operation, bounds, running, defaultTimeoutMs } = this.#init;
    if (this.#call === undefined || this.#pages === undefined) {
      this.#init.checkOpen();
      this.#call = Call.background(env, operation, bounds.signal);
      this.#pages = this.#init.source(this.#call)[Symbol.asyncIterator]();
      running.add(this.#call);
    }
    const whole = this.#call;
    const step = new Call(env, operation, undefined, bounds, defaultTimeoutMs);
    try {
      if (step.ended !== undefined) throw step.ended;
      for (;;) {
        const page = await step.guard(whole.untilEnd(this.#pages.next()));
        if (page.done) this.#finish();
        if (page.done) return false;
        this.#page = page.value;
        this.#at = 0;
        if (page.value.length > 0) return true;
      }
    } catch (error) {
      if (this.#returned) return false;
      this.#failure = { error };
      this.#stop(step.ended?.code === 'timeout' ? 'timeout' : 'aborted');
      throw error;
    }
  }

  async return(): Promise<IteratorResult<T>> {
    this.#returned = true;
    this.#stop('aborted');
    return { done: true, value: undefined };
  }

  #finish(): void {
    this.#returned = true;
    if (this.#call !== undefined) this.#init.running.delete(this.#call);
  }

  #stop(reason: 'timeout' | 'aborted'): void {
    if (this.#call === undefined) return;
    this.#init.running.delete(this.#call);
    this.#call.end(reason);
    // The source frees what it holds when its own pending step settles; nobody waits for that.
    this.#pages?.return?.(undefined)?.catch(() => {});
  }
}
