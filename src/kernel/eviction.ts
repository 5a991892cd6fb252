import type { Entry } from '../store/entry.ts';
import type { CommitOutcome, Write } from '../store/primitives.ts';

/** Keeps a store within bounds: made by `lru()`, taken by `memory({ evict })`. */
export interface Eviction {
  /** The kind and its bounds, as facts to show. */
  readonly details: Readonly<Record<string, string | number>>;
  /** Begins for one store; two stores never share their bounds. */
  bound<V>(engine: Evictable<V>): Bounded<V>;
}

/** An engine as it can be kept within bounds. */
export interface Evictable<V> {
  peek(key: string): V | undefined;
  readOne(key: string): Entry<V> | undefined;
  commit(operation: string, writes: readonly Write<V>[]): CommitOutcome;
  /** Deletes entries, in one commit. */
  evict(keys: readonly string[]): void;
}

/** An engine within bounds: its reads count as use, and its commits leave no more than the bounds allow. */
export interface Bounded<V> extends Pick<Evictable<V>, 'peek' | 'readOne' | 'commit'> {
  /** From now on only what is written as `cached` is given up; what is there stays. */
  evictOnlyCached(): void;
  /** The engine has removed an expired entry. */
  swept(key: string): void;
  close(): void;
}
