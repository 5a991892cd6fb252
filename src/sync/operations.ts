import type { PackedSets, SetWrite, Write } from '../store/primitives.ts';

/** What a group holds: writes, and sets in the form in which they came. */
export type Operation<V> = Write<V> | PackedSets<V>;

/** What can be committed packed. */
export type SetOperation<V> = SetWrite<V> | PackedSets<V>;

/** How many writes operations stand for. */
export function countOf(operations: readonly Operation<unknown>[]): number {
  let count = 0;
  for (const operation of operations) count += operation.type === 'sets' ? operation.count : 1;
  return count;
}

/** Operations as nothing but writes. */
export function toWrites<V>(operations: readonly Operation<V>[]): readonly Write<V>[] {
  if (!operations.some(isPacked)) return operations as readonly Write<V>[];
  const writes: Write<V>[] = [];
  for (const operation of operations) {
    if (operation.type !== 'sets') writes.push(operation);
    else for (let at = 0; at < operation.count; at++) writes.push(operation.setAt(at));
  }
  return writes;
}

export function isPacked<V>(operation: Operation<V>): operation is PackedSets<V> {
  return operation.type === 'sets';
}
