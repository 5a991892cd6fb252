import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';

interface Waiter {
  readonly start: () => void;
}

/** So many pieces of work at once; the others wait in the order in which they came. */
export class Slots {
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #waiting = new Set<Waiter>();
  #taken = 0;

  constructor(most: number, mostWaiting: number) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  /** Runs work as soon as there is room. The room is free again when the work is done, also when its caller has given up. */
  run<T>(call: Call, work: () => Awaitable<T>): Awaitable<T> {
    if (this.#taken < this.#most) return this.#start(work);
    return this.#wait(call).then(() => this.#begun(work));
  }

  /** As `run`, for each step of an iteration; between the steps nothing is taken. */
  async *each<T>(call: Call, source: AsyncIterable<T>): AsyncGenerator<T> {
    const steps = source[Symbol.asyncIterator]();
    let ended = false;
    try {
      for (;;) {
        const step = await this.run(call, () => steps.next());
        if (step.done === true) {
          ended = true;
          return;
        }
        yield step.value;
      }
    } finally {
      if (!ended) await steps.return?.();
    }
  }

  #start<T>(work: () => Awaitable<T>): Awaitable<T> {
    this.#taken++;
    return this.#begun(work);
  }

  #begun<T>(work: () => Awaitable<T>): Awaitable<T> {
    let result: Awaitable<T>;
    try {
      result = work();
    } catch (error) {
      this.#leave();
      throw error;
    }
    if (!(result instanceof Promise)) {
      this.#leave();
      return result;
    }
    return result.finally(() => this.#leave());
  }

  /** Resolves with a slot taken; rejects when the call ends before. */
  #wait(call: Call): Promise<void> {
    const { operation, key } = call;
    if (this.#waiting.size >= this.#mostWaiting)
      throw failure('overloaded', operation, `${this.#waiting.size} calls wait already`, { key });
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        start: () => {
          forget();
          resolve();
        },
      };
      this.#waiting.add(waiter);
      const forget = call.onEnd((error) => {
        this.#waiting.delete(waiter);
        reject(error);
      });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken--;
      return;
    }
    // The slot passes on: nobody who comes now is first.
    this.#waiting.delete(next);
    next.start();
  }
}
