import type { Group } from './group.ts';
import type { KnownKeys } from './known-keys.ts';

/** Adds upkeep to a group, minding what is known to be under way; false where there is nothing to do. */
export type Upkeep = (group: Group, known: KnownKeys) => boolean;
export type UpkeepResult = 'applied' | 'refused' | 'nothing';

export interface UpkeepJob {
  readonly work: Upkeep;
  done(result: UpkeepResult): void;
}
