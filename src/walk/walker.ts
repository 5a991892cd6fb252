/**
 * Gives the keys that an entry points to, in an order of its own that is always the same; none for
 * a leaf. It only reads the value. One shape serves `walk`, `sweep`, warming and replication.
 *
 * ```ts
 * const walker: Walker<Page> = (key, page) => page.links;
 * ```
 */
export type Walker<V> = (key: string, value: V) => Iterable<string> | AsyncIterable<string>;

/** Keys, as `fromKeySet` and roots may give them. */
export type Keys = Iterable<string> | AsyncIterable<string>;

/** Registered, so that two copies of the package in one process know each other's walkers. */
const ROOTS_ONLY: unique symbol = Symbol.for('stratakv.walker.roots-only');

/**
 * A walker made of a discovery: `discover` gives all keys that are reachable from the value of a
 * root, at once. A walk asks it for roots only, and takes every other entry as a leaf. Where a walk
 * is told to give dependencies first, they come in the order in which `discover` gives them.
 *
 * ```ts
 * walk(store, ['index'], fromKeySet((index) => index.allPages));
 * ```
 */
export function fromKeySet<V>(
  discover: (value: V, key: string) => Keys | Promise<Keys>,
): Walker<V> {
  const walker: Walker<V> = async function* (key, value) {
    yield* await discover(value, key);
  };
  return Object.assign(walker, { [ROOTS_ONLY]: true });
}

/** Whether a walker is to be asked for roots only. */
export function isRootsOnly<V>(walker: Walker<V>): boolean {
  return (walker as { [ROOTS_ONLY]?: boolean })[ROOTS_ONLY] === true;
}
