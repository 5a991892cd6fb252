import { readUint48 } from '../../store/version.ts';
import { revBytes } from './places.ts';
import type { Reader } from './reader.ts';

/** What is known of a transaction: its commits share an id, because they stand or fall together. */
export interface CommitRecord {
  readonly firstRev: number;
  readonly madeMs: number;
  readonly id: string;
}

const HEAD_BYTES = 12;

export function encodeCommit({ firstRev, madeMs, id }: CommitRecord): Buffer {
  return Buffer.concat([revBytes(firstRev), revBytes(madeMs), Buffer.from(id, 'latin1')]);
}

/** The transaction that a commit was made in, while it is known. */
export function commitOf(reader: Reader, rev: number): CommitRecord | undefined {
  for (const { value } of reader.range(reader.tables.commits, { start: revBytes(rev), limit: 1 })) {
    const firstRev = readUint48(value, 0);
    if (firstRev > rev) return undefined;
    return { firstRev, madeMs: readUint48(value, 6), id: value.toString('latin1', HEAD_BYTES) };
  }
  return undefined;
}

export function commitIdOf(reader: Reader, rev: number): string | undefined {
  return commitOf(reader, rev)?.id;
}
