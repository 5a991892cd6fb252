import { invalidArgument } from './errors.ts';
import type { Primitives, Shape } from './primitives.ts';
import type { ReadonlyStore } from './readonly-store.ts';

/**
 * The one internal door: layers, compositions and replication reach a store's primitives, and so
 * reserved keys, origins and uncopied values, through it. A registered symbol, so that two copies
 * of the package in one process still know each other's stores.
 */
export const PRIMITIVES: unique symbol = Symbol.for('stratakv.primitives');

/** The primitives of a store made by `defineStore`; anything else fails with `invalid-argument`. */
export function primitivesOf<V>(store: ReadonlyStore<V>, operation = 'open'): Primitives<V> {
  const found = (store as { [PRIMITIVES]?: Primitives<V> } | undefined)?.[PRIMITIVES];
  if (found === undefined)
    throw invalidArgument(
      operation,
      'the store',
      store,
      'a store made by a driver, layer or composition (or by defineStore)',
    );
  return found;
}

/** What a store is made of, as data: type, facts worth showing, and the stores inside. */
export function describeStore(store: ReadonlyStore<never> | ReadonlyStore<unknown>): Shape {
  return primitivesOf(store as ReadonlyStore<unknown>, 'describeStore').shape;
}
