import type { KeyedQueue, Slot } from '../keyed-queue.ts';

/**
 * The keys that the sink holds: those that the queue of updates keeps, from the first value handed
 * out to the delete. A resync adds, for its duration, the set of those not seen again yet.
 */
export class Seen<U extends object> {
  readonly #updates: KeyedQueue<U>;
  /** Those that the sink has not accepted: it may hold them, from a window that failed. */
  readonly #perhaps = new Set<string>();
  #missing: Set<string> | undefined;

  constructor(updates: KeyedQueue<U>) {
    this.#updates = updates;
  }

  /** Notes that a value is handed out; true where the sink had accepted one before. */
  giveValue(slot: Slot<U>): boolean {
    if (slot.kept) return this.#perhaps.size === 0 || !this.#perhaps.delete(slot.key);
    this.#updates.keep(slot, true);
    return false;
  }

  /** Notes that a delete is handed out; true where the sink had accepted a value before. */
  giveDelete(slot: Slot<U>): boolean {
    const held = slot.kept;
    this.#updates.keep(slot, false);
    return held && !this.#perhaps.delete(slot.key);
  }

  /** Takes back that something was handed out. The sink may hold the key all the same. */
  takeBack(key: string, accepted: boolean): void {
    this.#updates.keepKey(key);
    if (!accepted) this.#perhaps.add(key);
  }

  /** Begins a resync: all keys are to be seen again, those of `more` too. */
  beginResync(more: Iterable<string>): void {
    this.#missing = new Set(this.#updates.keptKeys());
    for (const key of more) this.#missing.add(key);
  }

  /** Notes that the producer has spoken of a key. */
  see(key: string): void {
    this.#missing?.delete(key);
  }

  /** The keys not seen since the resync began; none where there is none. */
  missing(): readonly string[] {
    return this.#missing === undefined ? [] : [...this.#missing];
  }

  endResync(): void {
    this.#missing = undefined;
  }
}
