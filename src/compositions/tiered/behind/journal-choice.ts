import type { Journal } from '../../../kernel/journal/journal.ts';
import { storeJournal } from '../../../kernel/journal/store-journal.ts';
import { volatileJournal } from '../../../kernel/journal/volatile-journal.ts';
import type { StrataError } from '../../../store/errors.ts';
import type { TieredParts } from '../tiered-parts.ts';
import { journalStoreOf } from './checks.ts';

const LEASE_MS = 3_000;

export interface JournalEvents {
  onLost(error: StrataError): void;
  onDamaged(record: string, error: StrataError): void;
}

/** The journal that the options ask for. Errors: `invalid-argument` for a store that cannot keep one. */
export function chooseJournal<V>(parts: TieredParts<V>, events: JournalEvents): Journal<V> {
  const { front, back, env, options } = parts;
  const store = journalStoreOf(parts);
  if (store === undefined) return volatileJournal(env);
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
