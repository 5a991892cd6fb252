import type { JournalRecord, JournalWrite } from '../../../kernel/journal/journal.ts';
import type { Call } from '../../../store/call.ts';
import { isStrataError, StrataError } from '../../../store/errors.ts';
import type { Position } from '../../../store/primitives.ts';
import type { PastCommit } from './commit-history.ts';
import { changeOf } from './pending-writes.ts';

/** What a journal that cannot be opened is for a caller. */
export function notOpened({ operation, key }: Call, cause: unknown): StrataError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = isStrataError(cause) ? cause.code : 'unavailable';
  // Held by another process: no condition of the caller's has failed.
  return new StrataError(
    code === 'conflict' ? 'unavailable' : code,
    `${operation}: the journal cannot be opened: ${why}`,
    { operation, key, cause, ...(code === 'conflict' && { retryable: true }) },
  );
}

/** Where a reader stands after a commit of the journal. Its name is not always one that a cursor can carry. */
export function positionOf(epoch: string, rev: number, id: string): Position {
  return { epoch, rev, id: id.replaceAll('.', '-') };
}

/** A record as the feed tells it. */
export function pastOf<V>({ seq, id, writes }: JournalRecord<V>, epoch: string): PastCommit<V> {
  return {
    changes: writes.map((write) => changeOf(write, seq)),
    end: positionOf(epoch, seq, id),
  };
}

/** The records at the end of a journal between which nothing is missing. */
export function lastRun<V>(
  records: readonly JournalRecord<V>[],
  lastSeq: number,
): JournalRecord<V>[] {
  const run: JournalRecord<V>[] = [];
  let wanted = lastSeq;
  for (const record of records.toReversed()) {
    if (record.seq !== wanted) break;
    run.unshift(record);
    wanted--;
  }
  // Of the commit before the first of them the name is not known, unless it is the very first.
  return run[0]?.seq === 1 ? run : run.slice(1);
}

/** Where the history begins that is still known. */
export function baseFor<V>(records: readonly JournalRecord<V>[], head: Position): Position {
  const run = lastRun(records, head.rev);
  const [first] = run;
  if (first === undefined) return head;
  if (first.seq === 1) return { epoch: head.epoch, rev: 0, id: '' };
  const before = records.find(({ seq }) => seq === first.seq - 1) as JournalRecord<V>;
  return positionOf(head.epoch, before.seq, before.id);
}

/** A record, and what of it the back is still to get. */
export interface Due<V> {
  readonly record: JournalRecord<V>;
  readonly writes: readonly JournalWrite<V>[];
  /** Keys of the other writes. */
  readonly settled: readonly string[];
}

/** Of each record the writes that the back is still to get: none of what it was found to hold, and nothing before that. */
export function dueOf<V>(records: readonly JournalRecord<V>[]): readonly Due<V>[] {
  const adoptedAt = new Map<string, number>();
  for (const { seq, writes } of records)
    for (const { key, adopted } of writes) if (adopted === true) adoptedAt.set(key, seq);
  return records.map((record) => {
    const isDue = ({ key }: JournalWrite<V>): boolean => record.seq > (adoptedAt.get(key) ?? 0);
    const writes = adoptedAt.size === 0 ? record.writes : record.writes.filter(isDue);
    const all = writes.length === record.writes.length;
    const rest = all ? [] : record.writes.filter((write) => !isDue(write));
    return { record, writes, settled: rest.map(({ key }) => key) };
  });
}
