import { inFlight } from './in-flight.ts';
import { median } from './measure.ts';

/** One way to do a thing, call by call. */
export interface Caller {
  readonly name: string;
  call(i: number, round: number): Promise<unknown>;
  /** Before each round, untimed. */
  prepare?(round: number): Promise<void>;
}

export interface LatencyOptions {
  readonly calls: number;
  /** So many calls are under way at once. */
  readonly callers: number;
  readonly rounds?: number;
}

type Percentile = 50 | 99;

/** How long calls took in the same rounds, in µs. */
export class Latencies {
  readonly #rounds: ReadonlyMap<string, readonly number[][]>;

  constructor(rounds: ReadonlyMap<string, readonly number[][]>) {
    this.#rounds = rounds;
  }

  at(name: string, percent: Percentile): number {
    return median(this.#each(name, percent));
  }

  /** How many times quicker one is than another: a ratio for each round, and of these the median. */
  ratio(name: string, other: string, percent: Percentile): number {
    const others = this.#each(other, percent);
    return median(this.#each(name, percent).map((own, round) => (others[round] ?? NaN) / own));
  }

  quickestBeside(name: string): string {
    const others = [...this.#rounds.keys()].filter((other) => other !== name);
    return others.reduce((best, next) => (this.at(next, 50) < this.at(best, 50) ? next : best));
  }

  #each(name: string, percent: Percentile): number[] {
    const rounds = this.#rounds.get(name) ?? [];
    return rounds.map((sorted) => sorted[Math.floor((sorted.length * percent) / 100)] ?? NaN);
  }
}

/** Runs callers in turn, A B C A B C …, after one warm-up each, and takes the time of every call. */
export async function compareLatency(
  contenders: readonly Caller[],
  { calls, callers, rounds = 5 }: LatencyOptions,
): Promise<Latencies> {
  const taken = new Map<string, number[][]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, call, prepare } of contenders) {
      await prepare?.(round);
      globalThis.gc?.();
      const times = new Array<number>(calls).fill(0);
      await inFlight(callers, calls, async (i) => {
        const start = performance.now();
        await call(i, round);
        times[i] = (performance.now() - start) * 1_000;
      });
      if (round > 0) taken.get(name)?.push(times.sort((a, b) => a - b));
    }
  }
  return new Latencies(taken);
}
