import type { Entry } from '../../store/entry.ts';
import type { Position, Write } from '../../store/primitives.ts';
import { isOfHistory } from './compare.ts';
import type { FirstStore } from './first-store.ts';
import { isAsNew, isGone, type KeptWrite } from './kept-writes.ts';
import type { Mark } from './member.ts';
import { stampOf, toAdopted } from './stamps.ts';

export interface BetterSetup<V> {
  readonly first: FirstStore<V>;
  /** The note that the first store has of itself, and where its history stands. */
  readonly own: Mark | undefined;
  readonly head: Position;
  /** What the journal holds: of each key the newest. */
  readonly kept: Map<string, KeptWrite<V>>;
}

/** What a first store that lost data should have: the newest that other members, or the journal, hold. */
export class Better<V> {
  readonly #setup: BetterSetup<V>;
  /** What the journal holds of keys that were not asked for. */
  readonly #kept: Map<string, KeptWrite<V>>;

  constructor(setup: BetterSetup<V>) {
    this.#setup = setup;
    this.#kept = new Map();
    for (const [key, kept] of setup.kept) if (!this.#hasSurvived(kept)) this.#kept.set(key, kept);
  }

  get keptKeys(): number {
    return this.#kept.size;
  }

  /** The write that brings the first store the newest of a key, unless it has that; each key once. */
  of(key: string, [right, ...others]: readonly (Entry<V> | undefined)[]): Write<V> | undefined {
    const held = newest(others);
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    if (kept === undefined || (held !== undefined && isAsNew(held, kept)))
      return this.#ofHeld(right, held);
    if (kept.intent?.keepsImmutable === true && held?.immutable === true)
      return this.#ofHeld(right, held);
    return this.#ofKept(right, kept);
  }

  /** The writes for keys that no member has. */
  *rest(): Generator<Write<V>> {
    for (const kept of this.#kept.values()) {
      const write = this.#ofKept(undefined, kept);
      if (write !== undefined) yield write;
    }
  }

  #ofHeld(right: Entry<V> | undefined, held: Entry<V> | undefined): Write<V> | undefined {
    if (held === undefined) return undefined;
    const stamp = stampOf(held);
    const { first, own } = this.#setup;
    if (right === undefined)
      // What it once had and has no more was deleted.
      return stamp !== undefined && isOfHistory(stamp, first) ? undefined : toAdopted(held);
    const rev = right.rev ?? 0;
    // Only where it has been rewound can others have something newer of the same history.
    const isRewound = own?.storeId === first.storeId && stamp?.store.endsWith(first.storeId);
    if (!isRewound || stamp === undefined || stamp.version === right.version) return undefined;
    if (stamp.rev <= rev || first.feed.epochOf(rev) === first.epoch) return undefined;
    const { if: _, ...write } = toAdopted(held);
    return { ...write, if: { version: right.version } };
  }

  #ofKept(right: Entry<V> | undefined, kept: KeptWrite<V>): Write<V> | undefined {
    const { first } = this.#setup;
    const { key, copy } = kept;
    const isOver = isGone(kept, first.member.env);
    if (right === undefined) return copy === undefined || isOver ? undefined : toAdopted(copy);
    // What a new first store held, or was written since, counts.
    const isLeft =
      kept.storeId === first.storeId && first.feed.epochOf(right.rev ?? 0) === kept.epoch;
    if (!isLeft || (right.rev ?? 0) >= kept.rev) return undefined;
    const condition = { version: right.version };
    if (copy === undefined || isOver) return { type: 'delete', key, if: condition };
    const { if: _, ...write } = toAdopted(copy);
    return { ...write, if: condition };
  }

  /** The first store still has it, or has changed it since. */
  #hasSurvived({ storeId, epoch, rev, intent }: KeptWrite<V>): boolean {
    const { first, head } = this.#setup;
    // The revision that an intent came to is not known.
    return (
      intent === undefined &&
      storeId === first.storeId &&
      rev <= head.rev &&
      first.feed.epochOf(rev) === epoch
    );
  }
}

function newest<V>(entries: readonly (Entry<V> | undefined)[]): Entry<V> | undefined {
  let best: Entry<V> | undefined;
  for (const entry of entries) {
    if (entry === undefined) continue;
    const rev = stampOf(entry)?.rev ?? -1;
    if (best === undefined || rev > (stampOf(best)?.rev ?? -1)) best = entry;
  }
  return best;
}
