/** A value that JSON can carry. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** Small JSON data that travels with an entry; at most 16 KiB when serialized. */
export type Meta = { readonly [name: string]: Json };

/**
 * Where a copied entry comes from: the stamp of the store that first took the write.
 * Copies keep it through drivers and layers; reconciliation and `tiered` compare it.
 */
export interface Origin {
  /** Id of the source store. */
  readonly store: string;
  /** Epoch of the source in which the write was made. */
  readonly epoch: string;
  /** Revision of the write in the source; 0 where the source has no revisions. */
  readonly rev: number;
  /** Version of the entry in the source. */
  readonly version: string;
}

/** Everything known of an entry but its value. */
export interface EntryHead {
  readonly key: string;
  /** Opaque; never used twice for a key, also not after a delete. */
  readonly version: string;
  /** The commit that wrote the entry; grows with every commit of one store. Absent where the store has no revisions. */
  readonly rev?: number;
  /** When the entry was written, in ms since 1970 by the writer's clock. Informative: nothing is ordered by it. */
  readonly modifiedAt: number;
  /** When the entry ends, in ms since 1970; it is never served from then on. */
  readonly expiresAt?: number;
  /** Set for content that never changes under its key: copies need no freshness check. */
  readonly immutable?: true;
  readonly meta?: Meta;
  /** Set on entries that were copied from another store. */
  readonly origin?: Origin;
  /**
   * Set on what a cache hands out beyond its freshness because the store that counts is away. It
   * says something of this answer, not of the entry: it is never stored nor replicated.
   */
  readonly stale?: true;
}

/** An entry as stored. */
export interface Entry<V> extends EntryHead {
  readonly value: V;
}

/** A condition on the entry that a write replaces. */
export type Condition = 'absent' | { readonly version: string };

/** One change in a commit of the feed: the entry as it is after it, or its removal. */
export type Change<V> = SetChange<V> | DeleteChange;

/** A key that was written, with its entry after the commit. */
export interface SetChange<V> extends Entry<V> {
  readonly type: 'set';
}

/** A key that was removed. */
export interface DeleteChange {
  readonly type: 'delete';
  readonly key: string;
  /** The commit that removed the entry. */
  readonly rev: number;
}

/** Names a place in a store's history. Opaque: keep it, compare it for equality, pass it back. */
export type Cursor = string & { readonly __cursor: unique symbol };

/**
 * Stands for every commit of the source in (from, to]. Applied whole, it takes a copy of the
 * state at `from` to exactly the state at `to`; a key occurs at most once, in the order of its
 * last write. Without writes it is a bookmark that only moves the cursor.
 */
export interface Commit<V> {
  readonly from: number;
  readonly to: number;
  readonly writes: readonly Change<V>[];
  /** Resumes a watch after this commit. */
  readonly cursor: Cursor;
}
