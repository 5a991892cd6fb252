import type { Awaitable } from './awaitable.ts';
import type { Env, Timer } from './env.ts';
import { failure, type StrataError } from './errors.ts';
import type { ReadOptions } from './operations.ts';

/** The wait of every call that names none. */
export const DEFAULT_TIMEOUT_MS = 5_000;

/** A deadline in its queue; taken out at once when its call is done, so that nothing of the call stays behind. */
interface Waiting {
  readonly call: Call;
  readonly dueMs: number;
}

/**
 * Deadlines of one length, oldest first, behind a single timer: a call costs a place in a set
 * instead of a host timer. The timer stays when the last call is done, in the background where the
 * host has that: calls that follow one another share it too. One an env and length.
 */
class DeadlineQueue {
  readonly #waiting = new Set<Waiting>();
  #timer: Timer | undefined;
  readonly #env: Env;
  readonly #timeoutMs: number;

  constructor(env: Env, timeoutMs: number) {
    this.#env = env;
    this.#timeoutMs = timeoutMs;
  }

  add(call: Call): Waiting {
    const waiting = { call, dueMs: this.#env.monotonicMs() + this.#timeoutMs };
    this.#waiting.add(waiting);
    if (this.#timer === undefined)
      this.#timer = this.#env.setTimer(() => this.#expire(), this.#timeoutMs);
    else if (this.#waiting.size === 1) this.#timer.setBackground?.(false);
    return waiting;
  }

  remove(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting) || this.#waiting.size > 0) return;
    // The last one gone: nothing may keep the process alive.
    if (this.#timer?.setBackground?.(true) !== true) this.cancelIfIdle();
  }

  cancelIfIdle(): void {
    if (this.#waiting.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#env.monotonicMs();
    const due: Call[] = [];
    for (const waiting of this.#waiting) {
      const leftMs = waiting.dueMs - nowMs;
      if (leftMs > 0) {
        this.#timer = this.#env.setTimer(() => this.#expire(), Math.max(1, leftMs));
        break;
      }
      this.#waiting.delete(waiting);
      due.push(waiting.call);
    }
    // Last, because an ended call may add or remove others.
    for (const call of due) call.end('timeout');
  }
}

const queues = new WeakMap<Env, Map<number, DeadlineQueue>>();

function queueOf(env: Env, timeoutMs: number): DeadlineQueue {
  let byLength = queues.get(env);
  if (byLength === undefined) {
    byLength = new Map();
    queues.set(env, byLength);
  }
  let queue = byLength.get(timeoutMs);
  if (queue === undefined) {
    // Odd lengths come and go (time left of a parent call): keep the map small.
    if (byLength.size >= 64) {
      for (const idle of byLength.values()) idle.cancelIfIdle();
      byLength.clear();
    }
    queue = new DeadlineQueue(env, timeoutMs);
    byLength.set(timeoutMs, queue);
  }
  return queue;
}

/**
 * One call on its way through a store: its deadline, its caller's signal, and whether its writes
 * may already have been applied. Drivers call `throwIfEnded()` before work that can still be left
 * undone, `markSent()` when a write can no longer be called back, and `onEnd()` to free what an
 * abandoned call holds.
 */
export class Call {
  readonly env: Env;
  readonly operation: string;
  readonly key: string | undefined;
  readonly timeoutMs: number;
  /** A read that no copy may answer: caches pass it on to the store that counts. */
  readonly fresh: boolean;
  /** Whether waiting for it keeps the process alive, where the wait takes timers; background work sets it to false. */
  keepsProcess = true;
  /** Why the call was given up, once it was. */
  ended: StrataError | undefined;
  readonly #userSignal: AbortSignal | undefined;
  #sent = false;
  #listeners: Set<(error: StrataError) => void> | undefined;
  #controller: AbortController | undefined;

  constructor(
    env: Env,
    operation: string,
    key?: string,
    options?: ReadOptions,
    defaultTimeoutMs: number = DEFAULT_TIMEOUT_MS,
  ) {
    this.env = env;
    this.operation = operation;
    this.key = key;
    this.timeoutMs = options?.timeoutMs ?? defaultTimeoutMs;
    this.fresh = options?.fresh === true;
    this.#userSignal = options?.signal;
    if (this.#userSignal?.aborted) this.end('aborted');
  }

  /** A call of a store about itself: background work without a deadline of its own. */
  static background(env: Env, operation: string, signal?: AbortSignal): Call {
    return new Call(env, operation, undefined, {
      timeoutMs: Number.POSITIVE_INFINITY,
      ...(signal && { signal }),
    });
  }

  throwIfEnded(): void {
    if (this.ended !== undefined) throw this.ended;
  }

  /** From here on a write may be applied, whatever the caller hears. */
  markSent(): void {
    this.#sent = true;
  }

  /** Runs `fn` when the call is given up; returns its removal. */
  onEnd(fn: (error: StrataError) => void): () => void {
    if (this.ended !== undefined) {
      fn(this.ended);
      return () => {};
    }
    this.#listeners ??= new Set();
    this.#listeners.add(fn);
    return () => this.#listeners?.delete(fn);
  }

  /** The end of the call as a signal, for interfaces that take one. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      this.onEnd((error) => controller.abort(error));
    }
    return this.#controller.signal;
  }

  /** Ends the call; the first reason stands. */
  end(reason: 'timeout' | 'aborted' | 'closed'): void {
    if (this.ended !== undefined) return;
    const { operation, key } = this;
    const what = {
      timeout: `no answer within ${this.timeoutMs} ms`,
      aborted: "the caller's signal aborted it",
      closed: 'the store was closed',
    }[reason];
    const cause = reason === 'aborted' ? this.#userSignal?.reason : undefined;
    this.ended = this.#sent
      ? failure('unknown-outcome', operation, `${what}, and the write may have been applied`, {
          key,
          cause,
          details: { reason },
        })
      : failure(reason, operation, what, { key, cause });
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener(this.ended);
  }

  /** Goes on with a result: at once where it is at hand, else when it comes before the call ends. */
  chain<A, B>(result: Awaitable<A>, next: (value: A) => B): Awaitable<B> {
    return result instanceof Promise ? this.guard(result).then(next) : next(result);
  }

  /** Settles as the promise does, or rejects when the call ends first; starts the call's deadline and heeds its caller's signal. */
  guard<T>(promise: Promise<T>): Promise<T> {
    const bounded = this.timeoutMs !== Number.POSITIVE_INFINITY;
    const signal = this.#userSignal;
    if (!bounded && signal === undefined && this.ended === undefined) return promise;
    if (this.ended !== undefined) return this.untilEnd(promise);
    const queue = bounded ? queueOf(this.env, this.timeoutMs) : undefined;
    const waiting = queue?.add(this);
    const onAbort = (): void => this.end('aborted');
    signal?.addEventListener('abort', onAbort, { once: true });
    return this.untilEnd(promise, () => {
      if (waiting !== undefined) queue?.remove(waiting);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  /** Settles as the promise does, or rejects when the call ends first; leaves nothing behind on either. */
  untilEnd<T>(promise: Promise<T>, release?: () => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const forget = this.onEnd((error) => {
        release?.();
        reject(error);
      });
      promise.then(
        (value) => {
          release?.();
          forget();
          resolve(value);
        },
        (error: unknown) => {
          release?.();
          forget();
          reject(error);
        },
      );
    });
  }
}
