/**
 * The keys that the sink holds: one entry a key, from its first value handed out to its delete. A
 * resync adds, for its duration, the set of those not seen again yet.
 */
export class Seen {
  /** True once the sink has accepted a value; false where it may hold one of a window that failed. */
  readonly #held = new Map<string, boolean>();
  #missing: Set<string> | undefined;

  /** Whether the sink may hold a key, counting what was handed out as held. */
  has(key: string): boolean {
    return this.#held.has(key);
  }

  /** Notes that a value is handed out; true where the sink had accepted one before. */
  giveValue(key: string): boolean {
    if (this.#held.get(key) === true) return true;
    this.#held.set(key, true);
    return false;
  }

  /** Notes that a delete is handed out; true where the sink had accepted a value before. */
  giveDelete(key: string): boolean {
    const accepted = this.#held.get(key) === true;
    this.#held.delete(key);
    return accepted;
  }

  /** Takes back that something was handed out. The sink may hold the key all the same. */
  takeBack(key: string, accepted: boolean): void {
    this.#held.set(key, accepted);
  }

  /** Begins a resync: all keys are to be seen again, those of `more` too. */
  beginResync(more: Iterable<string>): void {
    this.#missing = new Set(this.#held.keys());
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
