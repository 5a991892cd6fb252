/**
 * What is under way on one key. The generation grows with every beginning and end of a write: what
 * was read of the key in one generation says nothing of it in another. Two equal generations of a
 * key without writers mean that no write was under way at any moment in between, also none that
 * another one has undone since.
 */
export class KeyState {
  readonly key: string;
  generation = 0;
  /** Writes under way, those of unknown fate included. */
  writers = 0;
  /** Set while writes follow one another without a pause: their order is not known here. */
  overlapped = false;

  constructor(key: string) {
    this.key = key;
  }

  /** Whether nothing is under way and nothing needs to be remembered. */
  get idle(): boolean {
    return this.writers === 0;
  }
}

/** The keys on which something is under way; a key at rest costs nothing. */
export class KeyedGenerations<S extends KeyState> {
  readonly #states = new Map<string, S>();
  readonly #make: (key: string) => S;

  constructor(make: (key: string) => S) {
    this.#make = make;
  }

  get size(): number {
    return this.#states.size;
  }

  get(key: string): S | undefined {
    return this.#states.size === 0 ? undefined : this.#states.get(key);
  }

  /** The state of a key, made where there is none; `release` it afterwards. */
  open(key: string): S {
    let state = this.#states.get(key);
    if (state === undefined) {
      state = this.#make(key);
      this.#states.set(key, state);
    }
    return state;
  }

  /** All states there are; they may be released meanwhile. */
  all(): Iterable<S> {
    return this.#states.values();
  }

  beginWrite(key: string): S {
    const state = this.open(key);
    if (state.writers++ > 0) state.overlapped = true;
    state.generation++;
    return state;
  }

  endWrite(state: S): void {
    state.generation++;
    if (--state.writers > 0) return;
    state.overlapped = false;
    this.release(state);
  }

  /** Forgets a key once it is at rest. */
  release(state: S): void {
    if (state.idle && this.#states.get(state.key) === state) this.#states.delete(state.key);
  }
}
