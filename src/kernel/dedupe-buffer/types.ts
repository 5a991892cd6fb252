import type { Awaitable } from '../../store/awaitable.ts';

/** How far the producer's data can be trusted: not yet known, being read again, complete. */
export type DedupeStatus = 'wait-for-datastore' | 'resync' | 'in-sync';

/**
 * What happened to one key: it has a value (any but `undefined`) or is deleted. More fields are the
 * caller's own and are handed through. Not to be changed while it is queued.
 */
export type DedupeUpdate<V> =
  | { readonly key: string; readonly value: V; readonly deleted?: false }
  | { readonly key: string; readonly value?: undefined; readonly deleted: true };

/**
 * What an update means to the sink, given everything it has taken: the key is `new` to it, has
 * another value (`updated`), or is `deleted`. Without `trackSeen` every value is `updated`.
 */
export type DedupeKind = 'new' | 'updated' | 'deleted';

/** An update as the sink gets it: the fields of the caller's own, and the kind. */
export type SinkUpdate<U> = U & { readonly kind: DedupeKind };

/** A stretch of a window: updates, one a key, or a status mark, which comes after all that was given before it. */
export type DedupePart<U> =
  | { readonly type: 'updates'; readonly updates: readonly SinkUpdate<U>[] }
  | { readonly type: 'status'; readonly status: DedupeStatus };

/**
 * Everything that was queued at one moment, as one ordered group without two updates of a key.
 * (Where a key was updated on both sides of a status mark, the window ends at the mark.) Applied
 * whole, it takes a copy from one state of the producer to a later one. It does not change while it is in
 * flight.
 */
export interface DedupeWindow<U> {
  /** Updates and status marks, in order. */
  readonly parts: readonly DedupePart<U>[];
  /** The updates of all parts, in order. */
  readonly updates: readonly SinkUpdate<U>[];
  /** How many updates it has, which is how many keys. */
  readonly size: number;
  /** The update of a key, the caller's own object; `undefined` where the window has none. */
  get(key: string): U | undefined;
}

/** What `sendToSink` sends to. A `DedupeBuffer` is one, so that buffers can be chained. */
export interface DedupeSink<U> {
  /** Takes the updates of one part of a window, at most one a key. The next call waits until it has them. */
  onUpdates(updates: readonly SinkUpdate<U>[], options: DedupeTakeOptions): Awaitable<void>;
  /** Takes a status mark. */
  onStatusUpdated(status: DedupeStatus, options: DedupeTakeOptions): Awaitable<void>;
}

/** Options of `DedupeBuffer`. */
export interface DedupeBufferOptions<U> {
  /**
   * Whether the sink holds nothing but what it took from this buffer. Then a delete of a key that
   * it does not hold is dropped, together with the queued update it undoes, if any. Switch it off
   * for a sink that may hold more (a store with data of its own), or its deletes would be lost.
   * Default: as `trackSeen`.
   */
  readonly cancelUnseen?: boolean;
  /**
   * Whether to remember the keys that the sink holds, which takes memory for each of them. Without
   * it there are no kinds, no `cancelUnseen` and no `onReconnect`, and the memory taken is that of
   * the queue and the window in flight. Default true.
   */
  readonly trackSeen?: boolean;
  /**
   * Makes the delete of a key that was not seen again after a reconnect; needed where updates have
   * fields of their own. Default `{ key, deleted: true }`.
   */
  readonly deleteOf?: (key: string) => U;
}

/** How to take from a buffer; a sink is given the same, to end its own work early. */
export interface DedupeTakeOptions {
  /** Ends the waiting with `aborted`. Nothing is lost: what the sink has not accepted stays queued. */
  readonly signal?: AbortSignal;
}

/** How to stop a buffer. */
export interface DedupeStopOptions {
  /** Whether everything queued is handed out first. Default false. */
  readonly drain?: boolean;
  /** Gives up the waiting with `aborted`; the buffer goes on stopping. */
  readonly signal?: AbortSignal;
}

/** What is left in a buffer that was stopped. */
export interface DedupeStopped {
  /** Keys whose newest update was not handed out, or not accepted. `get` still tells them. */
  readonly left: number;
}
