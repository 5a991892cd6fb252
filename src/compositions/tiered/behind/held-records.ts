/** One record as the journal holds it. */
interface Held {
  readonly bytes: number;
  /** Of its writes, those that are the newest of their keys and still pending. */
  newest: number;
  /** Keys of those that ceased to be pending as the newest of their keys. */
  readonly settled: string[];
}

/**
 * The records that the journal holds, and which of them it may drop: `spent` ones, of which nothing
 * is pending.
 *
 * After a crash whatever the journal holds counts anew. So a record that has been the newest of a key
 * is kept for as long as an older one is: that may hold the key too, and must not become the newest.
 * One whose every write was replaced is free at once, since what replaced them is held.
 *
 * Records come in the order of their numbers. Its memory is that of the keys of which the journal
 * holds a write, hence bounded in bytes like the journal.
 */
export class HeldRecords {
  /** By number, in order. */
  readonly #held = new Map<number, Held>();
  /** Spent ones of which every write was replaced. */
  readonly #replaced = new Set<number>();
  /** The newest record of each key that is not pending any more. */
  readonly #settled = new Map<string, number>();
  #bytes = 0;
  /** A drop is under way. */
  #dropping = false;

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is something to drop. */
  get hasSpent(): boolean {
    if (this.#dropping) return false;
    if (this.#replaced.size > 0) return true;
    const [first] = this.#held.values();
    return first !== undefined && first.newest === 0;
  }

  /** Whether the journal holds a write of a key that is not pending any more. */
  hasSettled(key: string): boolean {
    return this.#settled.has(key);
  }

  /** A record with so many pending writes; `settled` are the keys of those that are not to be pending. */
  add(rev: number, newest: number, settled: readonly string[], bytes: number): void {
    this.#held.set(rev, { bytes, newest, settled: [...settled] });
    this.#bytes += bytes;
    for (const key of settled) this.#settled.set(key, rev);
    if (newest === 0 && settled.length === 0) this.#replaced.add(rev);
  }

  /** A pending write of a record was replaced by one of a newer record. */
  replace(rev: number): void {
    const held = this.#held.get(rev);
    if (held === undefined) return;
    held.newest--;
    if (held.newest === 0 && held.settled.length === 0) this.#replaced.add(rev);
  }

  /** A pending write of a record is dealt with, and no newer one of its key is pending. */
  settle(rev: number, key: string): void {
    const held = this.#held.get(rev);
    if (held === undefined) return;
    held.newest--;
    held.settled.push(key);
    this.#settled.set(key, rev);
  }

  /** The records to drop, if none are being dropped: one drop must not overtake another. */
  takeSpent(): readonly number[] {
    if (this.#dropping) return [];
    const spent = new Set<number>();
    for (const [rev, { newest }] of this.#held) {
      if (newest > 0) break;
      spent.add(rev);
    }
    for (const rev of this.#replaced) spent.add(rev);
    this.#dropping = spent.size > 0;
    return [...spent];
  }

  /** They are dropped. */
  forget(revs: readonly number[]): void {
    if (revs.length > 0) this.#dropping = false;
    for (const rev of revs) {
      const held = this.#held.get(rev);
      if (held === undefined) continue;
      this.#bytes -= held.bytes;
      this.#held.delete(rev);
      this.#replaced.delete(rev);
      for (const key of held.settled) if (this.#settled.get(key) === rev) this.#settled.delete(key);
    }
  }

  /** They are not dropped. */
  giveBack(revs: readonly number[]): void {
    if (revs.length > 0) this.#dropping = false;
  }

  clear(): void {
    this.#held.clear();
    this.#replaced.clear();
    this.#settled.clear();
    this.#bytes = 0;
  }
}
