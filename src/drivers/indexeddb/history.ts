import type { Change } from '../../store/entry.ts';
import { CommitLog } from '../../store/feed/commit-log.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import type { Position } from '../../store/primitives.ts';
import { resultOf } from './requests.ts';
import { commitId, EPOCHS_KEY, type EpochStart, headOf, META, type State } from './schema.ts';

/** A commit as the log takes it. */
export interface MadeCommit<V> {
  readonly rev: number;
  readonly changes: readonly Change<V>[];
}

/**
 * What this connection remembers of the store's history: the newest head it saw, the commits it
 * made itself, and the epochs. All of it is only a shortcut; the database decides.
 */
export class History<V> {
  readonly bell: Doorbell = new Doorbell();
  readonly log: CommitLog<V>;
  #seen: State | undefined;
  #epochs: readonly EpochStart[] = [];

  constructor(logBytes: number | undefined) {
    this.log = new CommitLog(logBytes);
  }

  /** The newest head seen; unknown while nothing was read. */
  get head(): Position | undefined {
    return this.#seen && headOf(this.#seen);
  }

  /** Takes note of a state that a transaction found or made; wakes the watchers when it is news. */
  async note(tx: IDBTransaction, state: State): Promise<void> {
    if (this.#epochs[this.#epochs.length - 1]?.epoch !== state.epoch)
      this.#epochs = await resultOf(
        tx.objectStore(META).get(EPOCHS_KEY) as IDBRequest<readonly EpochStart[]>,
      );
    this.see(state);
  }

  /** As `note`, for a state of the epoch that is known already. */
  see(state: State): void {
    const former = this.#seen;
    // Readers of an older snapshot may come late.
    if (former?.epoch === state.epoch && former.rev >= state.rev) return;
    this.#seen = state;
    this.bell.ring();
  }

  /** The commits of one transaction, in order. */
  add(commits: readonly MadeCommit<V>[], state: State): void {
    const { epoch, run } = state;
    for (const { rev, changes } of commits)
      this.log.append(changes, { epoch, rev, id: commitId(run, rev) });
    this.see(state);
  }

  epochOf(rev: number): string {
    let found = '';
    for (const { rev: first, epoch } of this.#epochs) if (first <= rev) found = epoch;
    return found;
  }

  /** The database went away and may come back as another: watchers are to look anew. */
  forget(): void {
    this.#seen = undefined;
    this.#epochs = [];
    this.log.clear();
    this.bell.ring();
  }
}
