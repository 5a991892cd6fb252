import type { Call } from '../../store/call.ts';
import { encodeUnstamped } from '../../store/feed/envelope.ts';
import type { CommitOutcome, DeleteWrite, SetWrite, Write } from '../../store/primitives.ts';
import { ENVELOPES } from './envelope-io.ts';

/** A set whose envelope is built, but for its stamp. */
export interface PreparedSet extends SetWrite<Uint8Array> {
  readonly entry: Uint8Array;
}

export type PreparedWrite = PreparedSet | DeleteWrite;

/** A commit on its way into a transaction. */
export interface PendingCommit {
  readonly operation: string;
  readonly writes: readonly PreparedWrite[];
  /** Some write asks what it replaces. */
  readonly conditional: boolean;
  readonly bytes: number;
  readonly call: Call | undefined;
  /** How often its transaction came too late: another process had committed meanwhile. */
  readonly tries: number;
  /** Its transaction failed with others in it: it is tried by itself. */
  readonly alone: boolean;
  succeed(outcome: CommitOutcome): void;
  fail(error: unknown): void;
}

/** Copies the values of writes into envelopes: what the caller does to them then changes nothing. */
export function prepare(
  writes: readonly Write<Uint8Array>[],
): Pick<PendingCommit, 'writes' | 'conditional' | 'bytes'> {
  let conditional = false;
  let bytes = 0;
  const prepared = writes.map((write): PreparedWrite => {
    if (write.if !== undefined) conditional = true;
    if (write.type === 'delete') return write;
    const entry = encodeUnstamped(ENVELOPES, write, write.value);
    bytes += entry.length;
    // Only the value of an immutable entry is ever looked at again.
    const value =
      write.immutable === true ? entry.subarray(entry.length - write.value.length) : entry;
    return { ...write, value, entry };
  });
  return { writes: prepared, conditional, bytes };
}
