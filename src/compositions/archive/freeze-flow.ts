import type { Freezer, Work } from './freezer.ts';

interface Waiting {
  readonly work: Work;
  /** Before it was taken, and after. */
  readonly askedMs: number;
  readonly takenMs: number;
}

/**
 * Marks on their way: so many are put at once, as many are taken in advance, and as many are settled
 * meanwhile, so that the cold store waits for nothing and one that is slow holds up no other.
 */
export class FreezeFlow {
  readonly #freezer: Freezer;
  readonly #concurrency: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #settling = 0;
  #taking = 0;
  #step: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(freezer: Freezer, concurrency: number) {
    this.#freezer = freezer;
    this.#concurrency = concurrency;
  }

  /** Marks that are taken, or asked for, and not done with. */
  get underWay(): number {
    return this.#waiting.length + this.#running + this.#settling + this.#taking;
  }

  /** Once there is room, takes as many as there is room for, if it goes on then; gives how many. Throws what the hot side failed with. */
  async fill(operation: string, goesOn: () => boolean = () => true): Promise<number> {
    while (this.underWay > 2.5 * this.#concurrency) await this.step();
    if (!goesOn()) return 0;
    const most = Math.min(3 * this.#concurrency, this.#freezer.most) - this.underWay;
    if (most <= 0) return 0;
    this.#taking += most;
    const askedMs = this.#freezer.nowMs;
    try {
      const taken = await this.#freezer.take(operation, most);
      const takenMs = this.#freezer.nowMs;
      for (const work of taken) this.#waiting.push({ work, askedMs, takenMs });
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
      this.#work(operation, next);
    }
  }

  #work(operation: string, { work, askedMs }: Waiting): void {
    let isPut = false;
    this.#running++;
    const onPut = (): void => {
      isPut = true;
      this.#running--;
      this.#settling++;
      this.#begin(operation);
    };
    this.#freezer.workOff(operation, work, askedMs, onPut).then(() => {
      if (isPut) this.#settling--;
      else this.#running--;
      this.#begin(operation);
      this.#stepped();
    });
  }

  #stepped(): void {
    const { resolve } = this.#step;
    this.#step = Promise.withResolvers();
    resolve();
  }
}
