import type { Codec } from '../../store/codec.ts';
import type { Env } from '../../store/env.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Journal } from './journal.ts';

/** What a journal in a store is made from. */
export interface StoreJournalOptions<V> {
  /** Where it is kept; see `checkJournalStore`. It is not closed with the journal. */
  readonly store: Primitives<unknown>;
  /** How values become bytes, where the store holds bytes; default that of the store. */
  readonly codec?: Codec<V> | undefined;
  readonly env: Env;
  /** How long the owner may be silent before another may take the journal over, in ms. */
  readonly leaseMs: number;
  /** Who opens it, for people: `pid 4711`. */
  readonly owner: string;
  /** Tells the journals of one store apart: a short word; default `main`. */
  readonly name?: string;
  /** The journal was taken over, or its store fails for good: nothing more is written. Told once. */
  readonly onLost: (error: StrataError) => void;
  /** `open` has met a record that it cannot read: it is set aside, in the store. Told once for each. */
  readonly onDamaged: (record: string, error: StrataError) => void;
}

/** A journal in a store, under reserved keys. */
export function storeJournal<V>(_options: StoreJournalOptions<V>): Journal<V> {
  throw failure('unsupported', 'open', 'there is no journal in a store yet');
}
