import type { StrataError } from '../../store/errors.ts';
import type { WasDeleted } from './compare.ts';
import type { ReplicaEvent } from './events.ts';
import type { FirstStore } from './first-store.ts';
import type { Member } from './member.ts';

/** What a lane is made from. */
export interface LaneSetup<V> {
  readonly member: Member<V>;
  readonly first: FirstStore<V>;
  /** Writers wait for it. */
  readonly awaited: boolean;
  readonly everyWrite: boolean;
  readonly queueLength: number;
  readonly queueBytes: number;
  readonly retry: { readonly minMs: number; readonly maxMs: number };
  readonly maxFenced: number;
  /** What the member holds and the first store has not was deleted, as the journal knows. */
  readonly wasDeleted?: WasDeleted<V>;
  onEvent(event: ReplicaEvent): void;
  /** It failed; with a result of true it is not tried again. */
  onFailure(cause: StrataError): boolean;
  /** The first store has another epoch than it had. */
  onRewound(): void;
  /** The member may have more than before. */
  onAdvance(): void;
}
