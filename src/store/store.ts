import type { BlockingStore } from './blocking-store.ts';
import type { Capabilities } from './capabilities.ts';
import type { Commit, Cursor, Entry, EntryHead } from './entry.ts';
import type {
  BatchResult,
  BatchWrite,
  CallOptions,
  DeleteOptions,
  Range,
  ReadOptions,
  SetOptions,
  WatchOptions,
} from './operations.ts';

/**
 * What users hold, and what layers and compositions take and return: keys in the order of their
 * bytes, values of type V. A miss is `undefined`, never an error; every failure is a `StrataError`.
 */
export interface Store<V> extends AsyncDisposable {
  readonly capabilities: Capabilities;

  /** The value, or `undefined`; `null`, `false`, `0` and `''` are values. */
  get(key: string, options?: ReadOptions): Promise<V | undefined>;
  /** The value with its version, revision, times and metadata. */
  getEntry(key: string, options?: ReadOptions): Promise<Entry<V> | undefined>;
  /** The values that exist, by key, in the order asked. */
  getMany(keys: Iterable<string>, options?: ReadOptions): Promise<Map<string, V>>;
  getEntries(keys: Iterable<string>, options?: ReadOptions): Promise<Map<string, Entry<V>>>;
  has(key: string, options?: ReadOptions): Promise<boolean>;
  /** The keys among these that exist. */
  hasMany(keys: Iterable<string>, options?: ReadOptions): Promise<Set<string>>;
  /** The value, loaded and stored when missing: one loader run a key, however many callers. A value that another writer stored meanwhile wins. */
  getOrSet(key: string, loader: () => V | Promise<V>, options?: Omit<SetOptions, 'if'>): Promise<V>;

  /** Writes; resolves with the new entry, without its value, once it is as durable as `capabilities.durability` says. Errors: `conflict`, `no-space`, `unknown-outcome` … */
  set(key: string, value: V, options?: SetOptions): Promise<EntryHead>;
  /** True when the key existed. */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;
  /** Writes all pairs as one batch. */
  setMany(
    pairs: Iterable<readonly [string, V]>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<BatchResult>;
  /** Deletes as one batch; resolves with the number of keys that existed. */
  deleteMany(keys: Iterable<string>, options?: CallOptions): Promise<number>;
  /** Deletes every key (with the prefix), in batches; resolves with their number. */
  clear(options?: CallOptions & { readonly prefix?: string }): Promise<number>;
  /**
   * Atomic read-modify-write: `fn` gets the value it replaces and gives the new one, or `undefined`
   * to delete. It is called again after a conflict, so it must be pure. Expiry and metadata stay
   * unless given. Resolves with the entry after it.
   */
  update(
    key: string,
    fn: (value: V | undefined) => V | undefined | Promise<V | undefined>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<Entry<V> | undefined>;
  /** Ordered writes, applied whole or not at all where `capabilities.atomic` is `'batch'`. A failed condition is `conflict` and names the key. */
  batch(writes: Iterable<BatchWrite<V>>, options?: CallOptions): Promise<BatchResult>;

  /** Entries in key order. Each one is current when it is yielded; the whole is not one moment's picture. */
  list(range?: Range & CallOptions): AsyncIterable<Entry<V>>;
  /** As `list`, without reading values. */
  keys(range?: Range & CallOptions): AsyncIterable<string>;

  /** The feed: commits in order, without gaps. Errors: `cursor-expired` when the store cannot prove continuity. */
  watch(options?: WatchOptions): AsyncIterable<Commit<V>>;
  /** The head, to start a watch from without a gap. */
  cursor(options?: CallOptions): Promise<Cursor>;

  /** Ends watches with `closed`, waits for writes under way, closes what the store holds. Later calls fail with `closed`; a second close does nothing. */
  close(): Promise<void>;
}

/** A store that can also be used synchronously: memory, lmdb, sqlite, file, and layers and tiers of them. */
export interface StoreWithBlocking<V> extends Store<V> {
  /** The same operations, synchronous. */
  readonly blocking: BlockingStore<V>;
}
