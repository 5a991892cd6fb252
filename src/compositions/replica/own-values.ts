import { cloneValue } from '../../store/clone.ts';
import type { Primitives, Write } from '../../store/primitives.ts';
import type { ReplicaParts } from './replica-parts.ts';

/**
 * Copies the values of writes, because what waits for a member is encoded later, when the caller may
 * have changed it. Nothing where a member has a guard: values are then copied before they come here.
 * What members hold is what the first store makes of a value, so its codec makes the copy.
 */
export function ownValuesOf<V>({
  first,
  sync,
  async,
}: ReplicaParts<V>): ((writes: readonly Write<V>[]) => readonly Write<V>[]) | undefined {
  const all = [first, ...sync, ...async];
  if (all.some(({ primitives }) => primitives.guard !== undefined)) return undefined;
  const copy = copierOf(first.primitives);
  return (writes) =>
    writes.map((write) => (write.type === 'set' ? { ...write, value: copy(write.value) } : write));
}

function copierOf<V>({ bytes, codec }: Primitives<V>): (value: V) => V {
  if (bytes === undefined || codec === undefined) return cloneValue;
  return (value) => {
    try {
      return codec.decode(codec.encode(value));
    } catch {
      // The first store refuses what its codec does.
      return value;
    }
  };
}
