import type { Awaitable } from './awaitable.ts';
import type { Call } from './call.ts';
import type { CommitOutcome, Primitives, SetWrite } from './primitives.ts';

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

/** The packed commits of a store that has them, and whose `commit` is still its own. */
export function packedCommits<V>(primitives: Primitives<V>): PackedCommits<V> | undefined {
  const { packed } = primitives;
  return packed?.of === primitives.commit ? packed : undefined;
}
