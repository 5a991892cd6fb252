import type { Change, EntryHead } from '../../store/entry.ts';
import { changeBytes, type LoggedCommit } from '../../store/feed/commit-log.ts';
import type { Position } from '../../store/primitives.ts';

/** A commit as the log keeps it. Changes are built when somebody reads them: most are never read. */
export class MemoryCommit<V> implements LoggedCommit<V> {
  bytes = 0;
  readonly #rev: number;
  readonly #positionOf: (rev: number) => Position;
  /** Heads of what was set, keys of what was deleted. */
  readonly #heads: (EntryHead | string)[] = [];
  readonly #values: (V | undefined)[] = [];

  constructor(rev: number, positionOf: (rev: number) => Position) {
    this.#rev = rev;
    this.#positionOf = positionOf;
  }

  /** Adds a set, or without a head a delete. */
  add(key: string, head: EntryHead | undefined, value: V | undefined): void {
    this.#heads.push(head ?? key);
    this.#values.push(value);
    this.bytes += changeBytes(key, value);
  }

  get end(): Position {
    return this.#positionOf(this.#rev);
  }

  get changes(): readonly Change<V>[] {
    return this.#heads.map((head, at) =>
      typeof head === 'string'
        ? { type: 'delete', key: head, rev: this.#rev }
        : { ...head, type: 'set', value: this.#values[at] as V },
    );
  }
}
