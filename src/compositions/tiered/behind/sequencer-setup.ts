import type { Journal, JournalRecord } from '../../../kernel/journal/journal.ts';
import type { Env } from '../../../store/env.ts';
import type { WriteIds } from '../../../store/version.ts';
import type { PendingWrites } from './pending-writes.ts';
import type { Views } from './views.ts';

/** What brings commits into one order. */
export interface SequencerSetup<V> {
  readonly env: Env;
  readonly ids: WriteIds;
  readonly journal: Journal<V>;
  readonly pending: PendingWrites<V>;
  readonly views: Views<V>;
  readonly maxKeys: number;
  readonly maxBytes: number;
  /** Whether a commit waits while too much is pending. */
  readonly blocks: boolean;
  /** Whether the versions of the back matter, for conflicts. */
  readonly tracksBase: boolean;
  /** The journal has commits. */
  onAppended(record: JournalRecord<V>): void;
  /** What waits cannot be taken before something has reached the back, and the journal has forgotten it. */
  onFull(): void;
}
