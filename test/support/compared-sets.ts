/** Two sets of entries in memory, compared as two sides of a connection do. */
import { Answerer } from '../../src/kernel/fingerprints/answerer.ts';
import { Asker, type Next } from '../../src/kernel/fingerprints/asker.ts';
import { Fingerprinter, type Seed } from '../../src/kernel/fingerprints/fingerprint.ts';
import type { Span } from '../../src/kernel/fingerprints/messages.ts';
import { RangeSums } from '../../src/kernel/fingerprints/range-sums.ts';
import { compareKeys } from '../../src/store/keys.ts';

/** Stamps by key. */
export type Entries = Map<string, string>;

const SEED: Seed = [1, 2, 3, 4];

export function sortedKeys(entries: ReadonlyMap<string, string>): string[] {
  return [...entries.keys()].sort(compareKeys);
}

/** So many entries, named as they often are. */
export function fill(count: number): Entries {
  return new Map(
    Array.from({ length: count }, (_, n) => [`key:${n}`, `session.${n.toString(36)}`]),
  );
}

/** The keys in which two sets differ, in order. */
export function differences(x: Entries, y: Entries): string[] {
  const keys = new Set([...x.keys(), ...y.keys()]);
  return [...keys].filter((key) => x.get(key) !== y.get(key)).sort(compareKeys);
}

export interface Compared {
  readonly wanted: readonly string[];
  readonly gaveUp: boolean;
  /** Questions asked. */
  readonly rounds: number;
  /** Entries that the answerer read for its sums, or again. */
  readonly scanned: number;
  readonly listed: number;
}

export interface CompareOptions {
  readonly sums?: RangeSums;
  readonly bucketKeys?: number;
  readonly fanOut?: number;
  readonly answerBytes?: number;
  /** Part that may differ; default all. */
  readonly differing?: number;
  expiresAt?(key: string): number | undefined;
  /** Sees every message. */
  seen?(message: unknown): void;
}

export function compareSets(theirs: Entries, own: Entries, options: CompareOptions): Compared {
  const { sums = new RangeSums(options.bucketKeys), fanOut, answerBytes = 60_000 } = options;
  const [held, mine] = [sortedKeys(theirs), sortedKeys(own)];
  const limits = { answerBytes, ...(fanOut !== undefined && { fanOut }) };
  const answerer = new Answerer(sums, new Fingerprinter(SEED), limits);
  const { differing = Number.POSITIVE_INFINITY } = options;
  const whole = { lower: '', upper: undefined };
  const asker = new Asker(new Fingerprinter(SEED), whole, { differing });
  let [rounds, read] = [0, 0];
  for (;;) {
    const next: Next = asker.next();
    if (next.do !== 'ask') {
      const wanted = next.do === 'done' ? next.wanted : [];
      const { listed } = answerer;
      return { wanted, gaveUp: next.do === 'give-up', rounds, scanned: read - listed, listed };
    }
    rounds++;
    options.seen?.(next.ask);
    const steps = answerer.answer(next.ask);
    let step = steps.next();
    for (; step.done !== true; step = steps.next())
      for (const key of within(held, step.value.span)) {
        read++;
        const expiresAt = options.expiresAt?.(key);
        step.value.add({ key, stamp: theirs.get(key) as string, expiresAt });
      }
    if (step.value === 'unknown') throw new Error('the answerer does not know its own ranges');
    options.seen?.(step.value);
    for (const comparison of asker.take(step.value)) {
      for (const key of within(mine, comparison.span)) comparison.add(key, own.get(key) as string);
      comparison.end();
    }
  }
}

function within(sorted: readonly string[], { lower, upper }: Span): readonly string[] {
  return sorted.slice(
    indexOf(sorted, lower),
    upper === undefined ? undefined : indexOf(sorted, upper),
  );
}

function indexOf(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(sorted[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
