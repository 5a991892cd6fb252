import { checkJournalStore } from '../../../kernel/journal/check-journal-store.ts';
import type { Capabilities } from '../../../store/capabilities.ts';
import { invalidArgument } from '../../../store/errors.ts';
import { primitivesOf } from '../../../store/internals.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { Store } from '../../../store/store.ts';
import type { TieredParts } from '../tiered-parts.ts';

/** What a store that is written behind can do. Errors: `invalid-argument` for parts that cannot be used so. */
export function behindCapabilities<V>(parts: TieredParts<V>): Capabilities {
  checkBack(parts);
  const { front, back } = parts;
  const journal = journalStoreOf(parts);
  const { ttl, maxKeyBytes, maxValueBytes, evicts } = back.capabilities;
  const journalBlocks = journal === undefined || journal.blocking !== undefined;
  return Object.freeze({
    durability: journal?.capabilities.durability ?? 'memory',
    atomic: 'batch',
    conditional: 'all',
    feed: true,
    ttl,
    blocking: front.blocking !== undefined && back.blocking !== undefined && journalBlocks,
    maxKeyBytes,
    ...(maxValueBytes !== undefined && { maxValueBytes }),
    ...(evicts === true && { evicts }),
  });
}

/** The store that keeps the journal; `undefined` where none does. Errors: `invalid-argument` for one that cannot. */
export function journalStoreOf<V>({
  front,
  back,
  options: { journal },
}: TieredParts<V>): Primitives<unknown> | undefined {
  if (journal === 'volatile') return undefined;
  if (journal === 'front' || journal === undefined) {
    if (journal === undefined && front.capabilities.durability === 'memory')
      throw invalidArgument(
        'tiered',
        'the option journal',
        undefined,
        "a durable store (such as one of lmdb or sqlite), since the front's durability is 'memory'; or 'volatile', where a crash may lose writes that were acknowledged",
      );
    checkJournalStore('tiered', 'the option front, which is to keep the journal,', front);
    return front as Primitives<unknown>;
  }
  const store = primitivesOf(journal as Store<unknown>, 'tiered');
  if (store === (back as unknown))
    throw invalidArgument('tiered', 'the option journal', journal, 'another store than the back');
  checkJournalStore('tiered', 'the option journal', store);
  return store;
}

function checkBack<V>({ back, options }: TieredParts<V>): void {
  const { onConflict = 'overwrite' } = options;
  if (onConflict === 'overwrite' || back.capabilities.conditional === 'all') return;
  throw invalidArgument(
    'tiered',
    'the option onConflict',
    onConflict,
    "'overwrite', since the back has no conditional writes by which changes of others could be noticed",
  );
}
