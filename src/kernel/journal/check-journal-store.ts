import { invalidArgument } from '../../store/errors.ts';
import type { Primitives } from '../../store/primitives.ts';

/**
 * Refuses a store that cannot keep a journal, with `invalid-argument` that says what it lacks:
 * durability of at least `os`, atomic batches, conditional sets and deletes, and that it keeps what
 * it has. `what` names the store in the error: `the option journal`.
 */
export function checkJournalStore(
  operation: string,
  what: string,
  { capabilities, shape }: Pick<Primitives<never>, 'capabilities' | 'shape'>,
): void {
  const { durability, atomic, conditional, evicts } = capabilities;
  const refuse = (expected: string): Error =>
    invalidArgument(operation, what, `a store of the type ${shape.type}`, expected);
  if (durability === 'memory')
    throw refuse("a store with a durability of at least 'os', since this one's is 'memory'");
  if (atomic !== 'batch') throw refuse("a store with atomic batches (atomic: 'batch')");
  if (conditional !== 'all')
    throw refuse("a store with conditional sets and deletes (conditional: 'all')");
  if (evicts === true) throw refuse('a store that does not evict');
}
