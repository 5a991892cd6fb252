import type { Change } from '../entry.ts';
import type { Position } from '../primitives.ts';

/** One commit as the log keeps it. */
export interface LoggedCommit<V> {
  readonly changes: readonly Change<V>[];
  /** Where a reader stands after it. */
  readonly end: Position;
  readonly bytes: number;
}

/** Default bound of a log. */
export const DEFAULT_LOG_BYTES: number = 4 * 1024 * 1024;
/** Counted for each change beside its key and value. */
export const CHANGE_OVERHEAD_BYTES: number = 128;

/** Approximate size of a change; values of unknown size count as 256 bytes. */
export function changeBytes(key: string, value: unknown): number {
  const base = CHANGE_OVERHEAD_BYTES + key.length;
  if (value === undefined) return base;
  if (value instanceof Uint8Array) return base + value.length;
  if (typeof value === 'string') return base + value.length * 2;
  return base + (typeof value === 'object' && value !== null ? 256 : 8);
}

/**
 * The last whole commits of a store, bounded in bytes: a reader inside it gets single commits with
 * every intermediate value, one behind it reads the change index instead. Revisions in it are
 * contiguous; a gap (a commit of another process) empties it.
 */
export class CommitLog<V> {
  readonly #maxBytes: number;
  #commits: LoggedCommit<V>[] = [];
  #first = 0;
  #bytes = 0;

  constructor(maxBytes: number = DEFAULT_LOG_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held, by estimate. */
  get bytes(): number {
    return this.#bytes;
  }

  append(changes: readonly Change<V>[], end: Position): void {
    const last = this.#commits[this.#commits.length - 1];
    if (last !== undefined && (last.end.rev + 1 !== end.rev || last.end.epoch !== end.epoch))
      this.clear();
    let bytes = CHANGE_OVERHEAD_BYTES;
    for (const change of changes)
      bytes += changeBytes(change.key, change.type === 'set' ? change.value : undefined);
    this.add({ changes, end, bytes });
  }

  /** Appends the commit that follows the last one; the caller sees to that. */
  add(commit: LoggedCommit<V>): void {
    this.#commits.push(commit);
    this.#bytes += commit.bytes;
    while (this.#bytes > this.#maxBytes && this.#first < this.#commits.length) {
      this.#bytes -= (this.#commits[this.#first] as LoggedCommit<V>).bytes;
      // Frees the values at once; the slots go in bulk.
      this.#commits[this.#first++] = undefined as unknown as LoggedCommit<V>;
    }
    if (this.#first > 1_024 && this.#first * 2 > this.#commits.length) {
      this.#commits = this.#commits.slice(this.#first);
      this.#first = 0;
    }
  }

  /** The commit `rev`, when the log still has it. */
  at(rev: number): LoggedCommit<V> | undefined {
    const oldest = this.#commits[this.#first];
    if (oldest === undefined || rev < oldest.end.rev) return undefined;
    return this.#commits[this.#first + rev - oldest.end.rev];
  }

  /** Id of the commit `rev`, when the log still knows it. */
  idOf(rev: number): string | undefined {
    return this.at(rev)?.end.id;
  }

  clear(): void {
    this.#commits = [];
    this.#first = 0;
    this.#bytes = 0;
  }
}
