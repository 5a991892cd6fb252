import type { Call } from '../../store/call.ts';

interface Waiter {
  /** The keys of a commit; absent for a look at the whole. */
  readonly keys: ReadonlySet<string> | undefined;
  readonly start: () => void;
}

/**
 * Lets commits that touch different keys go on side by side, and nothing at all beside a look at
 * the store. First come, first served: whoever waits is not overtaken.
 */
export class Gate {
  readonly #busy = new Set<string>();
  #waiting: Waiter[] = [];
  #commits = 0;
  #looking = false;

  /** Resolves when a commit of these keys may begin; the result ends it. */
  async commit(keys: ReadonlySet<string>, call: Call): Promise<() => void> {
    await this.#enter(keys, call);
    return () => {
      this.#commits--;
      for (const key of keys) this.#busy.delete(key);
      this.#next();
    };
  }

  /** Runs work while no commit is under way. */
  async look<T>(call: Call, work: () => Promise<T>): Promise<T> {
    await this.#enter(undefined, call);
    try {
      return await work();
    } finally {
      this.#looking = false;
      this.#next();
    }
  }

  #enter(keys: ReadonlySet<string> | undefined, call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        keys,
        start: () => {
          forget();
          resolve();
        },
      };
      this.#waiting.push(waiter);
      const forget = call.onEnd((error) => {
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        reject(error);
        this.#next();
      });
      if (call.ended === undefined) this.#next();
    });
  }

  #next(): void {
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      if (!this.#admits(first)) return;
      this.#waiting.shift();
      if (first.keys === undefined) this.#looking = true;
      else {
        this.#commits++;
        for (const key of first.keys) this.#busy.add(key);
      }
      first.start();
    }
  }

  #admits({ keys }: Waiter): boolean {
    if (this.#looking) return false;
    if (keys === undefined) return this.#commits === 0;
    for (const key of keys) if (this.#busy.has(key)) return false;
    return true;
  }
}
