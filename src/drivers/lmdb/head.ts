import { StrataError } from '../../store/errors.ts';

/** Where a store stands: its one record that every transaction rewrites. */
export interface Head {
  readonly epoch: string;
  /** The last commit, and the id it shares with those of its transaction. */
  readonly rev: number;
  readonly id: string;
  /** Deletes up to this revision may be forgotten. */
  readonly floor: number;
  /** From this revision on, commit ids are known. */
  readonly oldestCommit: number;
  /** Changes in the index, and how many of them are no longer their key's last. */
  readonly changes: number;
  readonly stale: number;
  /** What is remembered of deletes, by estimate. */
  readonly tombstoneBytes: number;
}

/** A head as read: with the version under which LMDB keeps it, on which the next transaction is conditional. */
export interface Tip extends Head {
  readonly version: number;
}

const NUMBERS = ['rev', 'floor', 'oldestCommit', 'changes', 'stale', 'tombstoneBytes'] as const;

export function encodeHead(head: Head): Buffer {
  const { epoch, rev, id, floor, oldestCommit, changes, stale, tombstoneBytes } = head;
  return Buffer.from(
    JSON.stringify([epoch, rev, id, floor, oldestCommit, changes, stale, tombstoneBytes]),
  );
}

export function decodeHead(bytes: Uint8Array): Head {
  const [epoch, rev, id, floor, oldestCommit, changes, stale, tombstoneBytes] = parse(bytes);
  const head = { epoch, rev, id, floor, oldestCommit, changes, stale, tombstoneBytes } as Head;
  if (
    typeof epoch !== 'string' ||
    typeof id !== 'string' ||
    NUMBERS.some((name) => !Number.isSafeInteger(head[name]))
  )
    throw damaged();
  return head;
}

function parse(bytes: Uint8Array): unknown[] {
  try {
    const fields: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (Array.isArray(fields)) return fields;
  } catch (cause) {
    throw damaged(cause);
  }
  throw damaged();
}

function damaged(cause?: unknown): StrataError {
  return new StrataError('corrupt', 'the head of the store is damaged', {
    operation: 'read',
    cause,
  });
}
