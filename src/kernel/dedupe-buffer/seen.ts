/**
 * The keys that the sink holds: one entry a key, from its first value handed out to its delete. A
 * resync adds, for its duration, the set of those not seen again yet.
 */
export class Seen {
  readonly #held = new Set<string>();
  /** Those that the sink has not accepted: it may hold them, from a window that failed. */
  readonly #perhaps = new Set<string>();
  #missing: Set<string> | undefined;

  /** Whether the sink may hold a key, counting what was handed out as held. */
  has(key: string): boolean {
    return this.#held.has(key);
  }

  /** Notes that a value is handed out; true where the sink had accepted one before. */
  giveValue(key: string): boolean {
    if (this.#held.has(key)) return this.#perhaps.size === 0 || !this.#perhaps.delete(key);
    this.#held.add(key);
    return false;
  }

  /** Notes that a delete is handed out; true where the sink had accepted a value before. */
  giveDelete(key: string): boolean {
    const held = this.#held.delete(key);
    return held && !this.#perhaps.delete(key);
  }

  /** Takes back that something was handed out. The sink may hold the key all the same. */
  takeBack(key: string, accepted: boolean): void {
    this.#held.add(key);
    if (!accepted) this.#perhaps.add(key);
  }

  /** Begins a resync: all keys are to be seen again, those of `more` too. */
  beginResync(more: Iterable<string>): void {
    this.#missing = new Set(this.#held);
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
