/** Most that one step is for: no longer does it hold up other users of the server. */
export const MOST_TOGETHER = 64;

interface Waiting<A, B> {
  readonly one: A;
  readonly bytes: number;
  readonly resolve: (outcome: B) => void;
  readonly reject: (error: unknown) => void;
}

/** How steps are made; all of it may be left out. */
interface GatheredOptions {
  /** Called when nothing is under way any more. */
  readonly onIdle?: () => void;
  /** Of one step, which takes one at least. */
  readonly mostBytes?: number;
  /** Steps under way at once; default 1. Beside others only a full one begins. */
  readonly atOnce?: number;
}

/**
 * Steps that are asked for while one is under way are taken together, in their order. Each gets its
 * own outcome, or the failure of the step that it was part of. Nothing waits by itself, and no more
 * than its callers have under way at once.
 */
export class Gathered<A, B> {
  readonly #step: (all: readonly A[]) => Promise<readonly B[]>;
  readonly #options: GatheredOptions;
  readonly #waiting: Waiting<A, B>[] = [];
  #waitingBytes = 0;
  #working = 0;

  /** `step` gives an outcome for each. */
  constructor(step: (all: readonly A[]) => Promise<readonly B[]>, options: GatheredOptions = {}) {
    this.#step = step;
    this.#options = options;
  }

  /** `bytes` count against the most of one step. */
  add(one: A, bytes = 0): Promise<B> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ one, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      const { atOnce = 1 } = this.#options;
      if (this.#working < atOnce && this.#isEnough(this.#working)) this.#work();
    });
  }

  /** Whether what waits is worth a step beside so many others. */
  #isEnough(others: number): boolean {
    if (others === 0) return this.#waiting.length > 0;
    return this.#waiting.length >= MOST_TOGETHER || this.#waitingBytes >= this.#mostBytes;
  }

  get #mostBytes(): number {
    return this.#options.mostBytes ?? Number.POSITIVE_INFINITY;
  }

  async #work(): Promise<void> {
    this.#working++;
    // What is asked for in the same turn belongs to the first step.
    await Promise.resolve();
    while (this.#isEnough(this.#working - 1)) {
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
    this.#working--;
    if (this.#working === 0) this.#options.onIdle?.();
  }

  #next(): Waiting<A, B>[] {
    let bytes = 0;
    let most = 0;
    while (most < Math.min(MOST_TOGETHER, this.#waiting.length)) {
      const more = (this.#waiting[most] as Waiting<A, B>).bytes;
      if (most > 0 && bytes + more > this.#mostBytes) break;
      bytes += more;
      most++;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, most);
  }
}
