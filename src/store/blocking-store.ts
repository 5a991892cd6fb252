import type { Cursor, Entry, EntryHead } from './entry.ts';
import type { BatchResult, BatchWrite, DeleteOptions, Range, SetOptions } from './operations.ts';

type Unbounded<O> = Omit<O, 'signal' | 'timeoutMs'>;

/**
 * The operations of `Store`, synchronous: same results, errors and guarantees, thrown instead of
 * rejected. It holds the thread until the work is done, including the flush of a durable write.
 */
export interface BlockingStore<V> {
  get(key: string): V | undefined;
  getEntry(key: string): Entry<V> | undefined;
  getMany(keys: Iterable<string>): Map<string, V>;
  getEntries(keys: Iterable<string>): Map<string, Entry<V>>;
  has(key: string): boolean;
  hasMany(keys: Iterable<string>): Set<string>;
  getOrSet(key: string, loader: () => V, options?: Unbounded<Omit<SetOptions, 'if'>>): V;
  set(key: string, value: V, options?: Unbounded<SetOptions>): EntryHead;
  delete(key: string, options?: Unbounded<DeleteOptions>): boolean;
  setMany(
    pairs: Iterable<readonly [string, V]>,
    options?: Unbounded<Omit<SetOptions, 'if'>>,
  ): BatchResult;
  deleteMany(keys: Iterable<string>): number;
  clear(options?: { readonly prefix?: string }): number;
  update(
    key: string,
    fn: (value: V | undefined) => V | undefined,
    options?: Unbounded<Omit<SetOptions, 'if'>>,
  ): Entry<V> | undefined;
  batch(writes: Iterable<BatchWrite<V>>): BatchResult;
  list(range?: Range): Iterable<Entry<V>>;
  keys(range?: Range): Iterable<string>;
  cursor(): Cursor;
}
