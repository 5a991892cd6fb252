import { checkJournalStore } from '../../../kernel/journal/check-journal-store.ts';
import type { Journal } from '../../../kernel/journal/journal.ts';
import { storeJournal } from '../../../kernel/journal/store-journal.ts';
import { volatileJournal } from '../../../kernel/journal/volatile-journal.ts';
import { invalidArgument, type StrataError } from '../../../store/errors.ts';
import { primitivesOf } from '../../../store/internals.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { Store } from '../../../store/store.ts';
import type { TieredParts } from '../tiered-parts.ts';

const LEASE_MS = 3_000;

export interface JournalEvents {
  onLost(error: StrataError): void;
  onDamaged(record: string, error: StrataError): void;
}

/** The journal that the options ask for. Errors: `invalid-argument` for a store that cannot keep one. */
export function chooseJournal<V>(parts: TieredParts<V>, events: JournalEvents): Journal<V> {
  const { front, back, env, options } = parts;
  if (options.journal === 'volatile') return volatileJournal(env);
  const store = storeOf(parts);
  return storeJournal<V>({
    store,
    codec: back.codec ?? front.codec,
    env,
    leaseMs: options.leaseMs ?? LEASE_MS,
    owner: env.process ?? 'another process',
    onLost: events.onLost,
    onDamaged: events.onDamaged,
  });
}

function storeOf<V>({ front, back, options }: TieredParts<V>): Primitives<unknown> {
  const { journal } = options;
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
