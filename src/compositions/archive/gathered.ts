/** Most that one step is for: no longer does it hold up other users of the server. */
const MOST = 64;

interface Waiting<A, B> {
  readonly one: A;
  readonly bytes: number;
  readonly resolve: (outcome: B) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Steps that are asked for while one is under way are taken together, in their order. Each gets its
 * own outcome, or the failure of the step that it was part of. Nothing waits by itself, and no more
 * than its callers have under way at once.
 */
export class Gathered<A, B> {
  readonly #step: (all: readonly A[]) => Promise<readonly B[]>;
  readonly #onIdle: () => void;
  readonly #mostBytes: number;
  #waiting: Waiting<A, B>[] = [];
  #working = false;

  /** `step` gives an outcome for each. */
  constructor(
    step: (all: readonly A[]) => Promise<readonly B[]>,
    onIdle: () => void = () => {},
    mostBytes: number = Number.POSITIVE_INFINITY,
  ) {
    this.#step = step;
    this.#onIdle = onIdle;
    this.#mostBytes = mostBytes;
  }

  /** `bytes` count against the most of one step, which takes one at least. */
  add(one: A, bytes = 0): Promise<B> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ one, bytes, resolve, reject });
      if (!this.#working) this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    // What is asked for in the same turn belongs to the first step.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const part = this.#next();
      try {
        const outcomes = await this.#step(part.map(({ one }) => one));
        part.forEach(({ resolve }, at) => {
          resolve(outcomes[at] as B);
        });
      } catch (error) {
        for (const { reject } of part) reject(error);
      }
    }
    this.#working = false;
    this.#onIdle();
  }

  #next(): Waiting<A, B>[] {
    let bytes = 0;
    let most = 0;
    while (most < Math.min(MOST, this.#waiting.length)) {
      bytes += (this.#waiting[most] as Waiting<A, B>).bytes;
      if (most > 0 && bytes > this.#mostBytes) break;
      most++;
    }
    return this.#waiting.splice(0, most);
  }
}
