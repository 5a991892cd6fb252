import type { Freezer } from './freezer.ts';
import type { Taken } from './hot-side.ts';

interface Waiting {
  readonly item: Taken;
  /** Before it was taken, and after. */
  readonly askedMs: number;
  readonly takenMs: number;
}

/**
 * Marks on their way: so many are worked off at once, and as many are taken in advance, so that
 * nobody waits for the next ones and one that is slow holds up no other.
 */
export class FreezeFlow {
  readonly #freezer: Freezer;
  readonly #concurrency: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #taking = 0;
  #step: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(freezer: Freezer, concurrency: number) {
    this.#freezer = freezer;
    this.#concurrency = concurrency;
  }

  /** Marks that are taken, or asked for, and not done with. */
  get underWay(): number {
    return this.#waiting.length + this.#running + this.#taking;
  }

  /** Once there is room, takes as many as there is room for; gives how many. Throws what the hot side failed with. */
  async fill(operation: string): Promise<number> {
    while (this.underWay > 1.5 * this.#concurrency) await this.step();
    const most = Math.min(2 * this.#concurrency, this.#freezer.most) - this.underWay;
    if (most <= 0) return 0;
    this.#taking += most;
    const askedMs = this.#freezer.nowMs;
    try {
      const taken = await this.#freezer.take(operation, most);
      const takenMs = this.#freezer.nowMs;
      for (const item of taken) this.#waiting.push({ item, askedMs, takenMs });
      return taken.length;
    } finally {
      this.#taking -= most;
      this.#begin(operation);
      this.#stepped();
    }
  }

  /** Takes and works off until nothing is due and nothing is under way, or the cold store is away. */
  async drain(operation: string): Promise<void> {
    for (;;) {
      if ((await this.fill(operation)) > 0) continue;
      if (this.underWay === 0) return;
      await this.step();
    }
  }

  /** Resolves when one of those under way is done. */
  step(): Promise<void> {
    return this.#step.promise;
  }

  async untilIdle(): Promise<void> {
    while (this.underWay > 0) await this.step();
  }

  #begin(operation: string): void {
    while (this.#running < this.#concurrency) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      // It waited long behind others: taken again, it is what is true then.
      if (this.#freezer.hasLapsed(next.takenMs)) continue;
      this.#running++;
      this.#freezer.workOff(operation, next.item, next.askedMs).then(() => {
        this.#running--;
        this.#begin(operation);
        this.#stepped();
      });
    }
  }

  #stepped(): void {
    const { resolve } = this.#step;
    this.#step = Promise.withResolvers();
    resolve();
  }
}
