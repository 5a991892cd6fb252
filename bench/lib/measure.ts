/** The median of several values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** A contender: does `operations` operations and resolves when all are done. */
export interface Contender {
  readonly name: string;
  readonly operations: number;
  run(round: number): Promise<void> | void;
}

/**
 * Runs contenders in turn, A B C A B C …, after one warm-up each, so that a machine whose speed
 * drifts treats all alike; gives each one's median operations per second.
 */
export async function compare(
  contenders: readonly Contender[],
  rounds = 5,
): Promise<Map<string, number>> {
  const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      globalThis.gc?.();
      const start = performance.now();
      await contender.run(round);
      const perSecond = (contender.operations * 1000) / (performance.now() - start);
      if (round > 0) rates.get(contender.name)?.push(perSecond);
    }
  }
  return new Map([...rates].map(([name, values]) => [name, median(values)]));
}
