import type { Change, EntryHead } from '../../store/entry.ts';
import {
  CHANGE_OVERHEAD_BYTES,
  changeBytes,
  type LoggedCommit,
} from '../../store/feed/commit-log.ts';
import type { PackedSets } from '../../store/packed-sets.ts';
import type { Position, SetWrite } from '../../store/primitives.ts';
import type { SetHeads } from './set-heads.ts';

/** A commit that only sets, as the log keeps it: as its writes. */
export class SetsCommit<V> implements LoggedCommit<V> {
  readonly bytes: number;
  readonly #rev: number;
  readonly #positionOf: (rev: number) => Position;
  readonly #writes: readonly SetWrite<V>[];
  readonly #heads: SetHeads;

  constructor(
    rev: number,
    positionOf: (rev: number) => Position,
    writes: readonly SetWrite<V>[],
    heads: SetHeads,
  ) {
    this.#rev = rev;
    this.#positionOf = positionOf;
    // The list is the caller's to use again.
    this.#writes = writes.slice();
    this.#heads = heads;
    let bytes = 0;
    for (const { key, value } of writes) bytes += changeBytes(key, value);
    this.bytes = bytes;
  }

  get end(): Position {
    return this.#positionOf(this.#rev);
  }

  get changes(): readonly Change<V>[] {
    return this.#writes.map((write, pos) => ({
      ...this.#heads.make(write, pos),
      type: 'set',
      value: write.value,
    }));
  }
}

/** A commit of sets that came packed, as the log keeps it. */
export class PackedCommit<V> implements LoggedCommit<V> {
  readonly bytes: number;
  readonly #positionOf: (rev: number) => Position;
  readonly #sets: readonly (PackedSets<V> | SetWrite<V>)[];
  readonly #heads: SetHeads;

  constructor(
    positionOf: (rev: number) => Position,
    sets: readonly (PackedSets<V> | SetWrite<V>)[],
    heads: SetHeads,
  ) {
    this.#positionOf = positionOf;
    this.#sets = sets;
    this.#heads = heads;
    let bytes = 0;
    for (const set of sets)
      bytes +=
        set.type === 'set'
          ? changeBytes(set.key, set.value)
          : set.bytes + set.count * CHANGE_OVERHEAD_BYTES;
    this.bytes = bytes;
  }

  get end(): Position {
    return this.#positionOf(this.#heads.rev);
  }

  get changes(): readonly Change<V>[] {
    // Of a key that came more than once, the last counts.
    const last = new Map<string, Change<V>>();
    let pos = 0;
    const add = (write: SetWrite<V>): void => {
      last.delete(write.key);
      last.set(write.key, { ...this.#heads.make(write, pos++), type: 'set', value: write.value });
    };
    for (const set of this.#sets)
      if (set.type === 'set') add(set);
      else for (let at = 0; at < set.count; at++) add(set.setAt(at));
    return [...last.values()];
  }
}

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
