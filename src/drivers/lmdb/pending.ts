import type { Call } from '../../store/call.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';

/** A commit on its way into a transaction. */
export interface PendingCommit {
  readonly operation: string;
  readonly writes: readonly Write<Uint8Array>[];
  readonly call?: Call | undefined;
  /** How often its transaction came too late: another process had committed meanwhile. */
  readonly tries: number;
  /** Its transaction failed with others in it: it is tried by itself. */
  readonly alone: boolean;
  succeed(outcome: CommitOutcome): void;
  fail(error: unknown): void;
}
