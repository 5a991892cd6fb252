import type { Change } from '../../../store/entry.ts';
import { changeBytes, DEFAULT_LOG_BYTES } from '../../../store/feed/commit-log.ts';
import { cursorExpired } from '../../../store/feed/cursor.ts';
import type { Position } from '../../../store/primitives.ts';

/** One commit, and where a reader stands after it. */
export interface PastCommit<V> {
  readonly changes: readonly Change<V>[];
  readonly end: Position;
}

interface Kept<V> extends PastCommit<V> {
  readonly bytes: number;
}

/**
 * The last whole commits, bounded in bytes. Their numbers grow and may have gaps: where one follows
 * another here, nothing was committed in between.
 */
export class CommitHistory<V> {
  readonly #maxBytes: number;
  /** Where the oldest commit kept begins: the end of one that is no longer kept. */
  #base: Position;
  #commits: Kept<V>[] = [];
  #bytes = 0;

  constructor(base: Position, maxBytes: number = DEFAULT_LOG_BYTES) {
    this.#base = base;
    this.#maxBytes = maxBytes;
  }

  get head(): Position {
    return this.#commits[this.#commits.length - 1]?.end ?? this.#base;
  }

  add({ changes, end }: PastCommit<V>): void {
    let bytes = 0;
    for (const change of changes)
      bytes += changeBytes(change.key, change.type === 'set' ? change.value : undefined);
    this.#commits.push({ changes, end, bytes });
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) this.#shorten();
  }

  /** The commit after a position; `undefined` at the head. Errors: `cursor-expired`. */
  next(operation: string, position: Position): PastCommit<V> | undefined {
    return this.#commits[this.#placeOf(operation, position) + 1];
  }

  /** All commits after a position. Errors: `cursor-expired`. */
  since(operation: string, position: Position): readonly PastCommit<V>[] {
    return this.#commits.slice(this.#placeOf(operation, position) + 1);
  }

  #placeOf(operation: string, position: Position): number {
    const { epoch, rev, id } = position;
    const { head } = this;
    const refuse = (why: string): Error => cursorExpired(operation, position, why);
    if (epoch !== head.epoch) throw refuse('it belongs to another epoch of the store');
    if (rev > head.rev) throw refuse(`it is ahead of the head, ${head.rev}`);
    const at = rev === this.#base.rev ? -1 : this.#find(rev);
    const known = at === undefined ? undefined : (this.#commits[at]?.end ?? this.#base);
    if (at === undefined || known === undefined)
      throw refuse('the store no longer knows that commit');
    if (known.id !== id) throw refuse('the store has another commit at that revision');
    return at;
  }

  /** Index of the commit of this number. */
  #find(rev: number): number | undefined {
    let low = 0;
    let high = this.#commits.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = (this.#commits[middle] as Kept<V>).end.rev;
      if (found === rev) return middle;
      if (found < rev) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  /** Well below the bound, so that the next commits do not each come here. The newest stays: who waits at the head gets it. */
  #shorten(): void {
    let gone = 0;
    while (this.#bytes > this.#maxBytes * 0.75 && gone < this.#commits.length - 1)
      this.#bytes -= (this.#commits[gone++] as Kept<V>).bytes;
    if (gone === 0) return;
    this.#base = (this.#commits[gone - 1] as Kept<V>).end;
    this.#commits = this.#commits.slice(gone);
  }
}
