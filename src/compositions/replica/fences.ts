/** The revision of a write of which it is not known whether it was applied. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/**
 * For which keys a member may be asked. A key is fenced from the moment at which the first store has
 * a newer entry until the member has it. A member of which nothing is known, or too much to remember,
 * is asked for none.
 */
export class Fences {
  readonly #most: number;
  /** Revision that the member lacks, by key. */
  readonly #keys = new Map<string, number>();
  /** Fences of unknown revision, by key: when they were set. */
  readonly #unknown = new Map<string, number>();
  #trusted = false;
  #clock = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** How many keys it is not asked for; `undefined`: for none at all. */
  get size(): number | undefined {
    return this.#trusted ? this.#keys.size : undefined;
  }

  knows(key: string): boolean {
    return this.#trusted && (this.#keys.size === 0 || !this.#keys.has(key));
  }

  /** The member lacks these revisions of keys. */
  raise(keys: Iterable<string>, rev: number): void {
    for (const key of keys) this.#keys.set(key, Math.max(rev, this.#keys.get(key) ?? 0));
    if (this.#keys.size > this.#most) this.distrust();
  }

  /** The member may lack something of these keys. */
  raiseUnknown(keys: Iterable<string>): void {
    this.#clock++;
    for (const key of keys) {
      this.#keys.set(key, UNKNOWN);
      this.#unknown.set(key, this.#clock);
    }
    if (this.#keys.size > this.#most) this.distrust();
  }

  /** The member has a key as of a revision. */
  lower(key: string, rev: number): void {
    if ((this.#keys.get(key) ?? UNKNOWN) <= rev) this.#keys.delete(key);
  }

  /** A moment, for `caughtUp`. */
  get moment(): number {
    return this.#clock;
  }

  /** The member has all up to a revision of the first store that was its head at or after the moment. */
  caughtUp(rev: number, moment: number): void {
    for (const [key, lacks] of this.#keys) {
      const since = this.#unknown.get(key);
      if (lacks > rev && (since === undefined || since > moment)) continue;
      this.#keys.delete(key);
      this.#unknown.delete(key);
    }
    this.#trusted = true;
  }

  /** Nothing is known of the member any more. */
  distrust(): void {
    this.#trusted = false;
    this.#keys.clear();
    this.#unknown.clear();
  }
}
