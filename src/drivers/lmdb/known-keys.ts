import type { KeyState } from './group.ts';

/**
 * The latest states of keys that this process has written: those on their way into the tables,
 * which planning must see, and some that have landed, which it need not read again. All of them
 * hold only as long as nobody else has committed.
 */
export class KnownKeys {
  readonly #max: number;
  #recent = new Map<string, KeyState>();
  /** What was recent before; it is let go when the recent ones are too many. */
  #older = new Map<string, KeyState>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): KeyState | undefined {
    return this.#recent.get(key) ?? this.#older.get(key);
  }

  set(state: KeyState): void {
    this.#recent.set(state.key, state);
  }

  /** Whether a change of the key is on its way into the tables. */
  isUnderWay(key: string): boolean {
    return this.get(key)?.landed === false;
  }

  /** Lets go what is too much of that which has landed. */
  trim(): void {
    if (this.#recent.size <= this.#max / 2) return;
    const recent = this.#recent;
    for (const [key, state] of this.#older)
      if (!state.landed && !recent.has(key)) recent.set(key, state);
    this.#older = recent;
    this.#recent = new Map();
  }

  clear(): void {
    this.#recent = new Map();
    this.#older = new Map();
  }
}
