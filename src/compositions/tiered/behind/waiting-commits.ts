import type { Call } from '../../../store/call.ts';
import { isStrataError, StrataError } from '../../../store/errors.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import type { Met, PlannedCommit } from './planned-commit.ts';
import type { Ticket } from './sequencer-lines.ts';
import type { KeyLook } from './views.ts';

/** A commit on its way. */
export class Waiting<V> {
  readonly writes: readonly Write<V>[];
  readonly call: Call;
  readonly looks: ReadonlyMap<string, KeyLook<V>>;
  /** About how many bytes the journal will need. */
  readonly bytes: number;
  readonly done: PromiseWithResolvers<CommitOutcome> = Promise.withResolvers();
  /** Where it stands; given as it enters the queue. */
  ticket!: Ticket<Waiting<V>>;
  forget: () => void = () => {};
  /** Its values may be what the journal does not take: by itself it harms nobody else. */
  alone = false;

  constructor(
    writes: readonly Write<V>[],
    call: Call,
    looks: ReadonlyMap<string, KeyLook<V>>,
    bytes: number,
  ) {
    this.writes = writes;
    this.call = call;
    this.looks = looks;
    this.bytes = bytes;
  }
}

/** A commit that is decided. */
interface Decided<V> {
  readonly waiting: Waiting<V>;
  readonly commit: PlannedCommit<V>;
}

/** Commits decided together, in order, and what they leave under their keys. */
export class Group<V> {
  readonly members: Decided<V>[] = [];
  /** Those that change nothing, and hang on what others change. */
  readonly idle: Decided<V>[] = [];
  /** Those whose conditions fail because of what others change. */
  readonly failed: { readonly waiting: Waiting<V>; readonly error: unknown }[] = [];
  readonly left: Map<string, Met<V>> = new Map();
  bytes = 0;
  /** Keys that were not pending before. */
  newKeys = 0;

  /** All that wait for its outcome. */
  get all(): readonly { readonly waiting: Waiting<V> }[] {
    return [...this.members, ...this.idle, ...this.failed];
  }
}

/** What a failure of the journal is for a caller whose commit it does not have. */
export function notKept(operation: string, cause: unknown): StrataError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = isStrataError(cause) ? cause.code : 'unavailable';
  // Not a failed condition of the caller's: the journal belongs to another process now.
  if (code === 'conflict') return journalLost(operation, cause);
  const key = isStrataError(cause) ? cause.key : undefined;
  return new StrataError(code, `${operation}: the journal does not take it: ${why}`, {
    operation,
    key,
    cause,
  });
}

/** Nothing is kept any more. */
export function journalLost(operation: string, cause: unknown): StrataError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StrataError('unavailable', `${operation}: the journal is lost: ${why}`, {
    operation,
    cause,
    retryable: false,
  });
}

/** It would have to wait. */
export function overloaded(operation: string, why: string, key?: string): StrataError {
  return new StrataError('overloaded', `${operation}: ${why}`, { operation, key });
}

export function tooMuch(
  operation: string,
  { size, bytes }: { readonly size: number; readonly bytes: number },
  key?: string,
): StrataError {
  const why = `${size} keys (${bytes} bytes) are pending already, and the back does not take them fast enough`;
  return overloaded(operation, why, key);
}
