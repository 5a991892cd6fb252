import type { PackedCommits, Primitives } from './primitives.ts';

/** The packed commits of a store that has them, and whose `commit` is still its own. */
export function packedCommits<V>(primitives: Primitives<V>): PackedCommits<V> | undefined {
  const { packed } = primitives;
  return packed?.of === primitives.commit ? packed : undefined;
}
