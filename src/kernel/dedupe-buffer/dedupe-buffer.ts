import { failure, invalidArgument } from '../../store/errors.ts';
import { checkOptions } from '../../store/options.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import {
  checkBufferOptions,
  checkDeletes,
  checkSink,
  checkStatus,
  checkUpdates,
  STOP_RULES,
  TAKE_RULES,
} from './checks.ts';
import { Seen } from './seen.ts';
import { Segments } from './segments.ts';
import type {
  DedupeBufferOptions,
  DedupeSink,
  DedupeStatus,
  DedupeStopOptions,
  DedupeStopped,
  DedupeTakeOptions,
  DedupeUpdate,
  DedupeWindow,
} from './types.ts';
import { throwIfAborted, untilAborted } from './until-aborted.ts';
import { TakenWindow } from './window.ts';

const NO_KEYS: readonly string[] = [];

/**
 * A queue between a producer that never waits and a sink that may be slow, which keeps only the
 * newest update of each key, so that a sink that falls behind skips ahead instead of being behind
 * for ever. Order, with status marks among the updates, is kept: no update passes a mark.
 *
 * Bounded under any input: at most two updates for each distinct key and two status marks are
 * queued; beside them the window that the sink is at, and with `trackSeen` the keys that it holds.
 * Each update costs O(1). No timers, no I/O: whoever takes, drives.
 *
 * There is one consumer: either `sendToSink`, or calls of `next` and `tryNext`, each of which
 * acknowledges the window before. A second one is refused with `conflict`.
 *
 * ```ts
 * const buffer = new DedupeBuffer<User>();
 * source.onChange((change) => buffer.onUpdates([change])); // never waits
 * await buffer.sendToSink({ onUpdates: (updates) => save(updates), onStatusUpdated: (status) => show(status) });
 * ```
 */
export class DedupeBuffer<V, U extends DedupeUpdate<V> = DedupeUpdate<V>> {
  readonly #seen: Seen<U> | undefined;
  readonly #cancels: boolean;
  readonly #deleteOf: (key: string) => U;
  readonly #queue: Segments<U>;
  /** The newest status since the last reconnect. */
  #status: DedupeStatus | undefined;
  #inFlight: TakenWindow<U> | undefined;
  #state: 'open' | 'draining' | 'stopped' = 'open';
  /** Whether a consumer waits or sends. */
  #claimed = false;
  #sending: Promise<void> | undefined;
  #bell: PromiseWithResolvers<void> | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(options: DedupeBufferOptions<U> = {}) {
    checkBufferOptions(options);
    const { trackSeen = true, cancelUnseen = trackSeen } = options;
    const queue = new KeyedQueue<U>();
    this.#seen = trackSeen ? new Seen(queue) : undefined;
    this.#cancels = cancelUnseen;
    this.#deleteOf = options.deleteOf ?? ((key) => ({ key, deleted: true }) as U);
    this.#queue = new Segments(queue, cancelUnseen);
  }

  /** How many distinct keys are queued; those in flight do not count. */
  get size(): number {
    return this.#queue.size;
  }

  /** How many updates and status marks are queued: at most twice the distinct keys, and two. */
  get length(): number {
    return this.#queue.length;
  }

  /** The newest queued update of a key, the caller's own object; `undefined` where none is. Does not look at what is in flight. */
  get(key: string): U | undefined {
    return this.#queue.get(key);
  }

  /** The window that was taken and not yet acknowledged. */
  get inFlight(): DedupeWindow<U> | undefined {
    return this.#inFlight;
  }

  /**
   * Queues updates, in their order. The array is not kept. Errors: `invalid-argument`, before
   * anything is queued; `closed` after `stop`.
   */
  onUpdates(updates: readonly U[]): void {
    this.#accept('onUpdates', updates, NO_KEYS);
  }

  /**
   * As `onUpdates`, with the keys at hand: `keys[i]` is taken for the key of `updates[i]`. Where it
   * is missing or empty, the update's own `key` is.
   */
  onUpdatesKeysKnown(updates: readonly U[], keys: readonly (string | undefined)[]): void {
    this.#accept('onUpdatesKeysKnown', updates, keys);
  }

  /**
   * Queues a status mark, unless it repeats the newest status. `in-sync` ends the resync that
   * `onReconnect` began: what the sink holds and was not seen since is deleted, before the mark.
   * Errors: `invalid-argument`; `closed` after `stop`.
   */
  onStatusUpdated(status: DedupeStatus): void {
    const operation = 'onStatusUpdated';
    checkStatus(operation, status);
    this.#checkOpen(operation);
    if (status === 'in-sync') this.#deleteMissing(operation);
    if (status !== this.#status) this.#queue.mark(status);
    this.#status = status;
    this.#ring();
  }

  /**
   * The producer begins anew and will send everything again, then `in-sync`. What is queued is
   * discarded, since it will come again; keys that do not are deleted at `in-sync`. The next status
   * is marked also where it repeats the last.
   * Errors: `unsupported` without `trackSeen`; `closed` after `stop`.
   */
  onReconnect(): void {
    this.#checkOpen('onReconnect');
    if (this.#seen === undefined)
      throw failure('unsupported', 'onReconnect', 'needs what the sink saw; leave trackSeen on');
    // Where the sink may hold more than it took, that is also so for the keys now discarded.
    this.#seen.beginResync(this.#cancels ? NO_KEYS : this.#queue.keys());
    this.#queue.clear();
    this.#status = undefined;
  }

  /**
   * Takes everything queued as one window, which is then in flight; asking again acknowledges it.
   * Gives `'empty'` when nothing is queued, `'stopped'` when nothing will be handed out any more.
   * Errors: `conflict` while another consumer waits or sends.
   */
  tryNext(): DedupeWindow<U> | 'empty' | 'stopped' {
    this.#checkUnclaimed('tryNext');
    return this.#take();
  }

  /**
   * As `tryNext`, but waits while nothing is queued. Has no time limit of its own.
   * Errors: `aborted` by the signal; `conflict` while another consumer waits or sends.
   */
  async next(options?: DedupeTakeOptions): Promise<DedupeWindow<U> | 'stopped'> {
    checkOptions('next', options, TAKE_RULES);
    this.#claim('next');
    try {
      return await this.#takeWhenThere('next', options?.signal);
    } finally {
      this.#claimed = false;
    }
  }

  /**
   * Acknowledges the window in flight without asking for the next.
   * Errors: `invalid-argument` for any other window.
   */
  acknowledge(window: DedupeWindow<U>): void {
    this.#windowInFlight('acknowledge', window);
    this.#settle();
  }

  /**
   * Puts the window in flight back, because the sink failed: before everything newer, as if it had
   * never been taken, so that newer updates of its keys stand. The sink may have applied some of
   * it; none of its keys is cancelled by a delete, therefore.
   * Errors: `invalid-argument` for any other window.
   */
  requeue(window: DedupeWindow<U>): void {
    this.#putBack(this.#windowInFlight('requeue', window));
  }

  /**
   * Sends everything to a sink, window after window, each part in one call, the next call when the
   * one before has settled. Resolves when the buffer is stopped.
   *
   * When the sink fails, the rejection is the sink's, and what it has not accepted is queued again
   * as by `requeue`; call it again to go on. The signal ends it with `aborted` in the same way, once
   * the sink's present call has settled. Errors: `conflict` while another consumer waits or sends.
   */
  async sendToSink(sink: DedupeSink<U>, options: DedupeTakeOptions = {}): Promise<void> {
    checkSink(sink);
    checkOptions('sendToSink', options, TAKE_RULES);
    this.#claim('sendToSink');
    const over = Promise.withResolvers<void>();
    this.#sending = over.promise;
    try {
      await this.#sendAll(sink, options);
    } catch (error) {
      // Nobody takes any more: whoever waits for the queue to be drained hears why.
      this.#drained?.reject(error);
      this.#drained = undefined;
      throw error;
    } finally {
      this.#claimed = false;
      this.#sending = undefined;
      over.resolve();
    }
  }

  /**
   * Ends the buffer: updates and statuses are refused with `closed` from now on. With `drain`,
   * everything queued is still handed out, and the promise waits until it was acknowledged; it
   * rejects as `sendToSink` does when that fails. Without, nothing more is handed out, and the
   * promise waits for the window that `sendToSink` is at. Resolves with what is left, which `get`
   * still tells. Not to be awaited by the sink itself. Errors: `aborted` by the signal.
   */
  async stop(options: DedupeStopOptions = {}): Promise<DedupeStopped> {
    checkOptions('stop', options, STOP_RULES);
    const { drain = false, signal } = options;
    if (!drain) this.#end();
    else if (this.#state === 'open') this.#state = 'draining';
    this.#endIfDrained();
    this.#ring();
    if (this.#state === 'draining') {
      this.#drained ??= Promise.withResolvers();
      await untilAborted(this.#drained.promise, signal, 'stop');
    }
    if (this.#sending !== undefined) await untilAborted(this.#sending, signal, 'stop');
    const inFlight = this.#inFlight?.updates ?? [];
    const only = inFlight.filter(({ key }) => this.#queue.get(key) === undefined);
    return { left: this.#queue.size + only.length };
  }

  #accept(operation: string, updates: readonly U[], keys: readonly (string | undefined)[]): void {
    checkUpdates(operation, updates, keys);
    this.#checkOpen(operation);
    for (let i = 0; i < updates.length; i++) {
      const update = updates[i] as U;
      const key = keys[i] || update.key;
      this.#seen?.see(key);
      this.#queue.put(key, update);
    }
    this.#ring();
  }

  /** Deletes what a resync has not shown. */
  #deleteMissing(operation: string): void {
    const missing = this.#seen?.missing() ?? NO_KEYS;
    const deletes = missing.map((key) => this.#deleteOf(key));
    checkDeletes(operation, deletes, missing);
    for (const [i, key] of missing.entries()) this.#queue.put(key, deletes[i] as U);
    this.#seen?.endResync();
  }

  async #sendAll(sink: DedupeSink<U>, options: DedupeTakeOptions): Promise<void> {
    for (;;) {
      const window = await this.#takeWhenThere('sendToSink', options.signal);
      if (window === 'stopped') return;
      try {
        for (const part of window.parts) {
          throwIfAborted(options.signal, 'sendToSink');
          if (part.type === 'updates') await sink.onUpdates(part.updates, options);
          else await sink.onStatusUpdated(part.status, options);
          window.settlePart();
        }
      } catch (error) {
        this.#putBack(window);
        throw error;
      }
      this.#settle();
    }
  }

  async #takeWhenThere(
    operation: string,
    signal: AbortSignal | undefined,
  ): Promise<TakenWindow<U> | 'stopped'> {
    for (;;) {
      // Also after each wait: what is taken must reach the caller.
      throwIfAborted(signal, operation);
      const taken = this.#take();
      if (taken !== 'empty') return taken;
      this.#bell ??= Promise.withResolvers();
      await untilAborted(this.#bell.promise, signal, operation);
    }
  }

  #take(): TakenWindow<U> | 'empty' | 'stopped' {
    this.#settle();
    if (this.#state === 'stopped') return 'stopped';
    if (this.#queue.length === 0) return 'empty';
    const taken = this.#queue.take();
    this.#inFlight = new TakenWindow(taken, this.#seen);
    this.#queue.release(taken);
    return this.#inFlight;
  }

  #settle(): void {
    this.#inFlight = undefined;
    if (this.#queue.length === 0) this.#queue.forgetIdle();
    this.#endIfDrained();
  }

  #putBack(window: TakenWindow<U>): void {
    this.#queue.putBack(window.takeBack());
    this.#inFlight = undefined;
  }

  #endIfDrained(): void {
    if (this.#state !== 'draining') return;
    if (this.#queue.length === 0 && this.#inFlight === undefined) this.#end();
  }

  #end(): void {
    this.#state = 'stopped';
    this.#drained?.resolve();
    this.#drained = undefined;
    this.#ring();
  }

  /** Wakes the consumer. It looks for itself, so a spare ring does no harm. */
  #ring(): void {
    if (this.#bell === undefined) return;
    if (this.#queue.length === 0 && this.#state !== 'stopped') return;
    this.#bell.resolve();
    this.#bell = undefined;
  }

  #checkOpen(operation: string): void {
    if (this.#state !== 'open') throw failure('closed', operation, 'the buffer was stopped');
  }

  #claim(operation: string): void {
    this.#checkUnclaimed(operation);
    this.#claimed = true;
  }

  #checkUnclaimed(operation: string): void {
    if (this.#claimed)
      throw failure('conflict', operation, 'another consumer waits or sends; there can be one');
  }

  #windowInFlight(operation: string, window: DedupeWindow<U>): TakenWindow<U> {
    this.#checkUnclaimed(operation);
    if (this.#inFlight === undefined || this.#inFlight !== window)
      throw invalidArgument(operation, 'the window', window, 'the window in flight');
    return this.#inFlight;
  }
}
