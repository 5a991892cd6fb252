import type { BlockingStore } from './blocking-store.ts';
import type { Store } from './store.ts';

type WriteMethod =
  | 'getOrSet'
  | 'set'
  | 'delete'
  | 'setMany'
  | 'deleteMany'
  | 'clear'
  | 'update'
  | 'batch';

/** A store without its writes: the type to ask for where something only reads. Every `Store` is one. */
export interface ReadonlyStore<V> extends Omit<Store<V>, WriteMethod> {}

/** A read-only store that can also be used synchronously. */
export interface ReadonlyStoreWithBlocking<V> extends ReadonlyStore<V> {
  /** The same operations, synchronous. */
  readonly blocking: Omit<BlockingStore<V>, WriteMethod>;
}
