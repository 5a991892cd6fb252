/** What stands in the cold store under a key; without a version nothing does. */
export interface Standing {
  readonly version?: string;
  readonly generation: number;
}

const NOTHING: Standing = { generation: 0 };
/** Objects that are remembered. */
const MOST = 10_000;

/**
 * What this process put last, so that the next put of a key needs no read before. It may be wrong:
 * the put is made on condition of it.
 */
export class KnownObjects {
  readonly #known = new Map<string, Standing>();
  /** Whether keys that are not known have been new of late. */
  #areNew = false;

  /** What probably stands; `undefined` where that is better read. */
  guess(key: string): Standing | undefined {
    return this.#known.get(key) ?? (this.#areNew ? NOTHING : undefined);
  }

  keep(key: string, standing: Standing): void {
    this.#known.delete(key);
    this.#known.set(key, standing);
    if (this.#known.size <= MOST) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest as string);
  }

  /** What was read, where the guess was wrong or there was none. */
  read(key: string, standing: Standing): void {
    this.#known.delete(key);
    this.#areNew = standing.version === undefined;
  }
}
