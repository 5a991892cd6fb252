import type { CallOptions } from '../../store/operations.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import type { DeadLetter, Pending, TieredStatus } from './events.ts';
import type { WarmOptions, WarmProgress } from './warming/options.ts';

/** What a tiered store adds to a store. */
export interface TieredControls<V> {
  /** How the parts stand, now. */
  status(): TieredStatus;
  /** Writes acknowledged and not yet in the back; nothing but with `write: 'behind'`. */
  pending(): Pending;
  /**
   * Waits until what is pending now is in the back (or among the dead letters); what is written
   * meanwhile is not waited for. No bound unless given. Resolves with what is pending then.
   */
  flush(options?: CallOptions): Promise<Pending>;
  /**
   * The writes that the back refused for good, oldest first; the journal keeps them until they are
   * forgotten. None but with `write: 'behind'`.
   */
  deadLetters(options?: CallOptions): Promise<readonly DeadLetter<V>[]>;
  /** Removes dead letters by their ids; those that are not there are passed over. */
  forgetDeadLetters(ids: Iterable<string>, options?: CallOptions): Promise<void>;
  /**
   * Fills the front with copies of what the back holds: see `warm`. Beside reads and writes of this
   * store nothing newer is overwritten or brought back. Ends with `closed` when the store is closed.
   */
  warm(options?: WarmOptions): Promise<WarmProgress>;
  /** Closes; pending writes that do not reach the back within 5,000 ms stay in the journal for the next opening. */
  close(): Promise<void>;
  /** Closes, and waits `drainMs` for pending writes (default 5,000; 0 does not wait). Resolves with what is left in the journal. */
  close(options: { readonly drainMs?: number }): Promise<Pending>;
}

/** A front and a back as one store. */
export type TieredStore<V> = Store<V> & TieredControls<V>;

/** A tiered store that can also be used synchronously. */
export type TieredStoreWithBlocking<V> = StoreWithBlocking<V> & TieredControls<V>;
