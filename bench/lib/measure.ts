/** The median of several values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** A contender: does `operations` operations, and resolves when all are done. */
export interface Contender {
  readonly name: string;
  readonly operations: number;
  /** The timed part. It may give the milliseconds itself where the work happens in other processes. */
  run(round: number): Promise<number> | Promise<void> | void;
  /** Looks at the result, untimed; throws where it is wrong. */
  verify?(round: number): Promise<void> | void;
}

/** What contenders reached in the same rounds, in operations per second. */
export class Comparison {
  readonly #rates: ReadonlyMap<string, readonly number[]>;

  constructor(rates: ReadonlyMap<string, readonly number[]>) {
    this.#rates = rates;
  }

  rate(name: string): number {
    return median(this.#of(name));
  }

  /** How many times faster one is than another: a ratio for each round, and of these the median. */
  ratio(name: string, other: string): number {
    const others = this.#of(other);
    return median(this.#of(name).map((rate, round) => rate / (others[round] ?? Number.NaN)));
  }

  /** The fastest of all but one. */
  fastestBeside(name: string): string {
    const others = [...this.#rates.keys()].filter((other) => other !== name);
    return others.reduce((best, next) => (this.rate(next) > this.rate(best) ? next : best));
  }

  #of(name: string): readonly number[] {
    const rates = this.#rates.get(name);
    if (rates === undefined) throw new Error(`no contender ${name}`);
    return rates;
  }
}

/**
 * Runs contenders in turn, A B C A B C …, after one warm-up each, so that a machine whose speed
 * drifts treats all alike.
 */
export async function compare(contenders: readonly Contender[], rounds = 5): Promise<Comparison> {
  const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, operations, run, verify } of contenders) {
      globalThis.gc?.();
      const start = performance.now();
      const own = await run(round);
      const tookMs = own ?? performance.now() - start;
      await verify?.(round);
      if (round > 0) rates.get(name)?.push((operations * 1000) / tookMs);
    }
  }
  return new Comparison(rates);
}
