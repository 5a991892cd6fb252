import type { Change } from '../../store/entry.ts';
import type { Waiter } from './waiters.ts';

/** What came of telling the lanes of one commit. */
export interface Told<V> {
  readonly rev: number;
  readonly changes: ReadonlyMap<string, Change<V>>;
  /** What waits where: of the lanes of the other synchronous members, in turn. */
  readonly sync: readonly (Waiter | undefined)[];
  /** And of the asynchronous ones. */
  readonly async: readonly (Waiter | undefined)[];
}
