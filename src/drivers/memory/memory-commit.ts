import type { Change, EntryHead } from '../../store/entry.ts';
import {
  CHANGE_OVERHEAD_BYTES,
  changeBytes,
  type LoggedCommit,
} from '../../store/feed/commit-log.ts';
import type { PackedSets, Position, SetWrite } from '../../store/primitives.ts';
import type { SetHeads } from './set-heads.ts';

/** A commit that only sets, as the log keeps it: as what it was made of. */
export class SetsCommit<V> implements LoggedCommit<V> {
  readonly bytes: number;
  readonly #positionOf: (rev: number) => Position;
  #end: Position | undefined;
  readonly #sets: readonly (PackedSets<V> | SetWrite<V>)[];
  readonly #heads: SetHeads;
  readonly #mayRepeat: boolean;

  /** `mayRepeat`: a key may come more than once, and the last counts. */
  constructor(
    positionOf: (rev: number) => Position,
    sets: readonly (PackedSets<V> | SetWrite<V>)[],
    heads: SetHeads,
    mayRepeat: boolean,
  ) {
    this.#positionOf = positionOf;
    this.#sets = sets;
    this.#heads = heads;
    this.#mayRepeat = mayRepeat;
    let bytes = 0;
    for (const set of sets)
      bytes +=
        set.type === 'set'
          ? changeBytes(set.key, set.value)
          : set.bytes + set.count * CHANGE_OVERHEAD_BYTES;
    this.bytes = bytes;
  }

  get end(): Position {
    this.#end ??= this.#positionOf(this.#heads.rev);
    return this.#end;
  }

  get changes(): readonly Change<V>[] {
    const all: Change<V>[] = [];
    const add = (write: SetWrite<V>): void => {
      const { value } = write;
      all.push({ ...this.#heads.make(write, all.length), type: 'set', value });
    };
    for (const set of this.#sets)
      if (set.type === 'set') add(set);
      else for (let at = 0; at < set.count; at++) add(set.setAt(at));
    if (!this.#mayRepeat) return all;
    const last = new Map<string, Change<V>>();
    for (const change of all) {
      last.delete(change.key);
      last.set(change.key, change);
    }
    return [...last.values()];
  }
}

/** A commit as the log keeps it. Changes are built when somebody reads them: most are never read. */
export class MemoryCommit<V> implements LoggedCommit<V> {
  bytes = 0;
  readonly #rev: number;
  readonly #positionOf: (rev: number) => Position;
  #end: Position | undefined;
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
    this.#end ??= this.#positionOf(this.#rev);
    return this.#end;
  }

  get changes(): readonly Change<V>[] {
    return this.#heads.map((head, at) =>
      typeof head === 'string'
        ? { type: 'delete', key: head, rev: this.#rev }
        : { ...head, type: 'set', value: this.#values[at] as V },
    );
  }
}
