import type { Condition, Cursor, EntryHead, Meta } from './entry.ts';

/** Bounds a call. On iterables `timeoutMs` bounds each step. */
export interface CallOptions {
  /** Ends the call with `aborted` (or `unknown-outcome` for a write already under way). */
  readonly signal?: AbortSignal;
  /** Default 5,000 (the store's own `timeoutMs`); `Infinity` waits for ever. */
  readonly timeoutMs?: number;
}

/** How something is read. */
export interface ReadOptions extends CallOptions {
  /**
   * Goes past every cache to the store that counts, and brings the caches up to date on the way;
   * fails where that store is away. A store that is no cache takes it and reads as ever. Default false.
   */
  readonly fresh?: boolean;
}

/** How a value is written. */
export interface SetOptions extends CallOptions {
  /** Writes only over this state, else fails with `conflict`. */
  readonly if?: Condition;
  /** Life from now, in ms; excludes `expiresAt`. */
  readonly ttlMs?: number;
  /** End of life, in ms since 1970. */
  readonly expiresAt?: number;
  /** The value never changes under this key: a later different value is a `conflict`; the same value again changes nothing. */
  readonly immutable?: boolean;
  readonly meta?: Meta;
}

/** How a key is deleted. */
export interface DeleteOptions extends CallOptions {
  readonly if?: Condition;
}

/** Which keys, in which order. Bounds and order are by the bytes of the UTF-8 key. */
export interface Range {
  readonly prefix?: string;
  readonly gt?: string;
  readonly gte?: string;
  readonly lt?: string;
  readonly lte?: string;
  readonly reverse?: boolean;
  /** At most so many entries; default all. */
  readonly limit?: number;
}

/** One write of a batch. */
export type BatchWrite<V> =
  | ({ readonly type: 'set'; readonly key: string; readonly value: V } & Omit<
      SetOptions,
      keyof CallOptions
    >)
  | { readonly type: 'delete'; readonly key: string; readonly if?: Condition };

/** What one write of a batch did: `entry` after a set, and whether the key existed before. */
export interface WriteResult {
  readonly key: string;
  readonly existed: boolean;
  readonly entry?: EntryHead;
}

/** What a batch did. */
export interface BatchResult {
  /** The commit, where the store has revisions and anything changed. */
  readonly rev?: number;
  /** One result a write, in the order given. */
  readonly results: readonly WriteResult[];
}

/** What a watch gives. */
export interface WatchOptions extends CallOptions {
  /** Where to go on: a stored cursor, or `'start'` for the whole state first. Default: the head at the call. */
  readonly after?: Cursor | 'start';
  /** Only keys that begin so; commits without any are passed over, or arrive as bookmarks. */
  readonly prefix?: string;
}
