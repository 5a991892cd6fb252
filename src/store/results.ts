import type { Entry } from './entry.ts';
import type { BatchResult } from './operations.ts';
import type { CommitOutcome, Primitives, Write } from './primitives.ts';

/** The public result of a batch. */
export function toBatchResult<V>(writes: readonly Write<V>[], done: CommitOutcome): BatchResult {
  const results = writes.map((write, at) => {
    const { existed = false, entry } = done.outcomes[at] ?? {};
    return { key: write.key, existed, ...(entry !== undefined && { entry: { ...entry } }) };
  });
  return { ...(done.rev !== undefined && { rev: done.rev }), results };
}

/** How many of the writes met a key that existed. */
export function countExisted({ outcomes }: CommitOutcome): number {
  return outcomes.filter(({ existed }) => existed).length;
}

/** A value on its way out: copied where the store would share it. */
export function handOutValue<V>(primitives: Primitives<V>, value: V): V {
  return primitives.guard === undefined ? value : primitives.guard(value);
}

/** An entry on its way out. */
export function handOutEntry<V>(primitives: Primitives<V>, entry: Entry<V>): Entry<V> {
  return primitives.guard === undefined
    ? entry
    : { ...entry, value: primitives.guard(entry.value) };
}
