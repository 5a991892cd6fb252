import { Call } from '../../../store/call.ts';
import { isStrataError, StrataError } from '../../../store/errors.ts';
import { BATCH_KEYS, CONCURRENCY, type CopyingOptions, type WarmProgress } from './options.ts';
import type { Dealt, Steps, Task, WarmTarget } from './target.ts';

/** Keys to deal with at once. */
export interface KeyBatch extends Task {
  /** Keys before the end of this batch that need nothing. */
  readonly skipped: number;
  /** Up to here everything is dealt with once this batch is, and those before it. */
  readonly upTo?: string | undefined;
}

interface Running {
  readonly batch: KeyBatch;
  readonly dealt: Promise<Dealt>;
}

/** One warming on its way: its bounds, what it has done, and how it ends. */
export class WarmRun<V> implements Steps {
  readonly batchKeys: number;
  readonly concurrency: number;
  readonly call: Call;
  readonly #target: WarmTarget<V>;
  readonly #onProgress: ((progress: WarmProgress) => void) | undefined;
  #progress: WarmProgress = { copied: 0, skipped: 0, removed: 0, missing: 0 };

  constructor(
    target: WarmTarget<V>,
    operation: string,
    {
      batchKeys,
      concurrency,
      onProgress,
      ...bounds
    }: CopyingOptions & { after?: string | undefined },
  ) {
    const { after } = bounds;
    this.#target = target;
    this.#onProgress = onProgress;
    this.batchKeys = batchKeys ?? BATCH_KEYS;
    this.concurrency = concurrency ?? CONCURRENCY;
    this.call = new Call(target.env, operation, undefined, bounds, Number.POSITIVE_INFINITY);
    if (after !== undefined) this.#progress = { ...this.#progress, after };
  }

  /** Runs `work` to its end, or to that of its bounds; nothing goes on afterwards. */
  async until(work: () => Promise<void>): Promise<WarmProgress> {
    const working = this.#begin(work);
    this.#target.lifetime.add(this.call, working);
    try {
      await this.call.guard(working);
      return this.#progress;
    } catch (error) {
      // Each of its steps ends with the call.
      await working.catch(() => undefined);
      throw this.#told(error);
    }
  }

  /** Deals with batches, several at once, and tells their progress in their order. */
  async pass(batches: AsyncIterable<KeyBatch>): Promise<void> {
    const running: Running[] = [];
    try {
      for await (const batch of batches) {
        this.call.throwIfEnded();
        const dealt = this.deal(batch);
        // Its failure is met in its turn.
        dealt.catch(() => undefined);
        running.push({ batch, dealt });
        if (running.length >= this.concurrency) await this.#next(running);
      }
      while (running.length > 0) await this.#next(running);
    } finally {
      // After a failure: what the others did counts too, though nobody can go on behind the gap.
      for (const { dealt } of running)
        await dealt.then(
          (done) => this.count(done),
          () => undefined,
        );
    }
  }

  async #begin(work: () => Promise<void>): Promise<void> {
    // The next turn: whoever ends all warmings is heard first.
    await undefined;
    this.call.throwIfEnded();
    await work();
  }

  async deal(task: Task): Promise<Dealt> {
    if (task.keys.length === 0) return { copied: 0, skipped: 0, removed: 0, missing: 0 };
    return this.#target.deal(task, this);
  }

  run<T>(work: (call: Call) => T | Promise<T>): Promise<T> {
    const { env, operation, signal } = this.call;
    this.call.throwIfEnded();
    const timeoutMs = this.#target.stepTimeoutMs;
    const step = new Call(env, operation, undefined, { timeoutMs, signal, fresh: true });
    return step.guard(Promise.resolve(work(step)));
  }

  count({ copied, skipped, removed, missing }: Dealt): void {
    const sum = this.#progress;
    this.#progress = {
      ...sum,
      copied: sum.copied + copied,
      skipped: sum.skipped + skipped,
      removed: sum.removed + removed,
      missing: sum.missing + missing,
    };
  }

  tell(): void {
    this.#onProgress?.(this.#progress);
  }

  async #next(running: Running[]): Promise<void> {
    const { batch, dealt } = running[0] as Running;
    const done = await dealt.finally(() => running.shift());
    this.count({ ...done, skipped: done.skipped + batch.skipped });
    if (batch.upTo !== undefined) this.#progress = { ...this.#progress, after: batch.upTo };
    this.tell();
  }

  /** A failure, with how far the warming came. */
  #told(error: unknown): unknown {
    const { operation, ended } = this.call;
    const reason = ended ?? error;
    if (!isStrataError(reason)) return reason;
    const { code, key, retryable, message } = reason;
    const text = message.startsWith(`${operation}: `) ? message : `${operation}: ${message}`;
    const details = { ...reason.details, progress: this.#progress };
    return new StrataError(code, text, { operation, key, retryable, details, cause: reason });
  }
}
