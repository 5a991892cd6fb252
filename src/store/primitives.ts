import type { Awaitable } from './awaitable.ts';
import type { Call } from './call.ts';
import type { Capabilities } from './capabilities.ts';
import type { Codec } from './codec.ts';
import type { Change, Condition, Entry, EntryHead, Json, Meta, Origin } from './entry.ts';
import type { Env } from './env.ts';
import type { KeyRange } from './keys.ts';

/** One write as the primitives take it: checked, its expiry absolute. */
export type Write<V> = SetWrite<V> | DeleteWrite;

/** A set as the primitives take it. */
export interface SetWrite<V> {
  readonly type: 'set';
  readonly key: string;
  readonly value: V;
  readonly if?: Condition;
  readonly expiresAt?: number;
  readonly immutable?: true;
  readonly meta?: Meta;
  /** Marks the entry as a copy: kept with it, and lets it replace an immutable entry. */
  readonly origin?: Origin;
  /** The source's time of writing; default now. */
  readonly modifiedAt?: number;
  /** What is written can be had again elsewhere: see `evictOnlyCached`. */
  readonly cached?: true;
}

/** A delete as the primitives take it. */
export interface DeleteWrite {
  readonly type: 'delete';
  readonly key: string;
  readonly if?: Condition;
}

/** What one write did. A set that repeats an immutable entry gives the entry that stands. */
export interface WriteOutcome {
  readonly existed: boolean;
  /** The entry after a set. */
  readonly entry?: EntryHead;
}

/** What a commit did. */
export interface CommitOutcome {
  /** The commit made; absent where nothing changed or the store has no revisions. */
  readonly rev?: number;
  /** One a write, in order. */
  readonly outcomes: readonly WriteOutcome[];
}

/** A place in a store's history: after the commit `rev`, whose random id is `id`. */
export interface Position {
  readonly epoch: string;
  readonly rev: number;
  /** Empty for `rev` 0, the state before any commit. */
  readonly id: string;
}

/** Who a store is, and where its history stands. */
export interface FeedState {
  /** Kept in the store; names it on the wire and in origins. */
  readonly storeId: string;
  readonly head: Position;
}

/** A part of one commit: `end` is set on the last part, and says where the reader then stands. */
export interface FeedPage<V> {
  readonly changes: readonly Change<V>[];
  readonly end?: Position;
}

/** The change feed of a store, from which `watch`, resume and replication are made. */
export interface Feed<V> {
  state(call: Call): Awaitable<FeedState>;
  /**
   * Reads one commit after a position (`undefined`: from nothing, the whole state), in pages: a
   * single commit where the log still has it, else everything up to a head at once. Ends without
   * a page when there is nothing after it. A key may occur again in a later page of the same
   * commit, which then supersedes the earlier; consumers keep the last.
   * Errors: `cursor-expired` for another epoch, an unknown commit id, below the floor, the future.
   */
  read(after: Position | undefined, call: Call): AsyncIterable<FeedPage<V>>;
  /** Resolves as soon as the head differs from `after`; rejects when the call ends or the store closes. */
  wait(after: Position | undefined, call: Call): Promise<void>;
  /** Epoch in which the commit `rev` was made; origins carry it. */
  epochOf(rev: number): string;
}

/** What a commit in pages sees: the state that it changes, with what it has written so far. */
export interface PageView<V> {
  readMany(keys: readonly string[]): Promise<readonly (Entry<V> | undefined)[]>;
  /** Entries in key order, in pages. */
  scan(range: KeyRange): AsyncIterable<readonly Entry<V>[]>;
}

/** The writes of one commit, page by page. */
export type PagedWrites<V> = (view: PageView<V>) => AsyncIterable<readonly Write<V>[]>;

/** The synchronous half of a store that has one. Guarantees are those of the asynchronous half. */
export interface BlockingPrimitives<V> {
  readOne(key: string): Entry<V> | undefined;
  /** As `readOne`, without building the entry. */
  readValue?(key: string): V | undefined;
  scan(range: KeyRange): Iterable<Entry<V>>;
  scanKeys(range: KeyRange): Iterable<string>;
  /** `operation` names the public call in errors. */
  commit(writes: readonly Write<V>[], operation: string): CommitOutcome;
  state?(): FeedState;
}

/** What a store is made of, as data: for pictures, `info` and logs. */
export interface Shape {
  /** `memory`, `lmdb`, `tiered`, `encoded` … */
  readonly type: string;
  /** Facts worth showing, such as a path or a policy; never a secret. */
  readonly details?: Readonly<Record<string, Json>>;
  /** The stores inside, by role: `front`, `back`, `inner` … */
  readonly parts?: Readonly<Record<string, Shape>>;
}

/**
 * Sets in the form in which they came to be replicated, each made into a write when somebody asks
 * for it: of most entries of a copy nobody ever does. All carry an origin, none a condition or an
 * expiry. What they give never changes.
 */
export interface PackedSets<V> {
  readonly type: 'sets';
  readonly count: number;
  /** Id of the store in which all of them were first written. */
  readonly store: string;
  /** What keys and values take, without what is counted for each beside. */
  readonly bytes: number;
  keyAt(at: number): string;
  /** A value of its own at each call. */
  valueAt(at: number): V;
  setAt(at: number): SetWrite<V>;
}

/** Commits that take sets packed. */
export interface PackedCommits<V> {
  /**
   * The `commit` that this goes with: whoever replaces that one, as a layer does, must not be gone
   * around. `packedCommits` sees to it.
   */
  readonly of: Primitives<V>['commit'];
  /**
   * As `commit` of all sets in order, packed or not, and then of `last`, of which a later one of a
   * key counts. Conditions are those of `last` alone; all others have an origin and none. The only
   * outcome is that of `last`, which replaces nothing immutable.
   */
  commit(
    sets: readonly (PackedSets<V> | SetWrite<V>)[],
    last: SetWrite<V>,
    call: Call,
  ): Awaitable<CommitOutcome>;
}

/**
 * What a driver, layer or composition supplies; `defineStore` makes a `Store` of it, and other
 * layers build on it directly. Rules for authors:
 *
 * - Arguments are already checked, and any key may come, reserved ones (U+0000…) included, up to
 *   128 bytes longer than `capabilities.maxKeyBytes`.
 * - Expired entries are hidden everywhere: in reads, scans, conditions and outcomes.
 * - `commit` is atomic as `capabilities.atomic` says, checks every condition against the state it
 *   replaces, and fails with `conflict` (naming the key) before anything is applied. It has copied
 *   or encoded every value by the time it returns, unless `guard` is given.
 * - A write that can no longer be called back calls `call.markSent()`; work not yet begun starts
 *   with `call.throwIfEnded()`.
 * - Failures are `StrataError`s.
 */
export interface Primitives<V> {
  readonly shape: Shape;
  readonly capabilities: Capabilities;
  readonly env: Env;
  /** Bound of calls that name none; default 5,000. */
  readonly timeoutMs?: number;
  /**
   * The fast way of `get`: the value of a key that is at hand in memory, else `undefined`, which
   * says nothing: the ordinary way is then taken. Any string may come, unchecked. No I/O, no
   * promise, no error.
   */
  peek?(key: string): V | undefined;
  /** One entry. Returned without a promise where it is at hand. */
  readOne(key: string, call: Call): Awaitable<Entry<V> | undefined>;
  /** As `readOne`, without building the entry; only where that is faster. */
  readValue?(key: string, call: Call): Awaitable<V | undefined>;
  /** Several entries, in the order asked; a snapshot where the engine has one. */
  readMany(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  /** Entries in key order, in pages; a page is current when it is yielded. */
  scan(range: KeyRange, call: Call): AsyncIterable<readonly Entry<V>[]>;
  /** As `scan`, without reading values. */
  scanKeys(range: KeyRange, call: Call): AsyncIterable<readonly string[]>;
  commit(writes: readonly Write<V>[], call: Call): Awaitable<CommitOutcome>;
  /**
   * As `commit`, for more than should be in memory at once: one commit, atomic, under one revision,
   * whose writes come in pages that are written before the next is asked for. They are made from what
   * the view reads in the same transaction; `pages` must wait for nothing else. What it throws undoes
   * the whole. The outcomes are those of the last page. Absent where a commit is in memory anyway.
   */
  commitPages?(pages: PagedWrites<V>, call: Call): Promise<CommitOutcome>;
  /** Takes many copies at once without making an object of each; only where that is faster. */
  readonly packed?: PackedCommits<V>;
  readonly feed?: Feed<V>;
  readonly blocking?: BlockingPrimitives<V>;
  /** Refuses a value with `invalid-argument`; default accepts all. */
  checkValue?(operation: string, key: string, value: V): void;
  /**
   * Copies a value so that the caller and the store share nothing. `defineStore` applies it to
   * what comes in and goes out; absent where the store does neither keep nor hand out references.
   */
  guard?(value: V): V;
  /** How values become bytes on a wire; absent where they are bytes or have no natural form. */
  readonly codec?: Codec<V>;
  /** The same store before decoding, where there is one: replication moves these bytes as they are. */
  readonly bytes?: Primitives<Uint8Array>;
  /**
   * Makes a store that evicts give up only what is written as `cached` from now on; all else stays,
   * what it holds already included. Absent where the store does not evict. A layer does not pass it
   * on: the store inside may hold what is not the layer's.
   */
  evictOnlyCached?(): void;
  close(): Promise<void>;
}
