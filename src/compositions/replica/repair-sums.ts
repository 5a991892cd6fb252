import {
  Fingerprinter,
  isSameSum,
  RunningSum,
  type Seed,
  type Sum,
} from '../../kernel/fingerprints/fingerprint.ts';
import type { Span } from '../../kernel/fingerprints/messages.ts';
import { RangeSums } from '../../kernel/fingerprints/range-sums.ts';
import type { Call } from '../../store/call.ts';
import type { Entry, EntryHead } from '../../store/entry.ts';
import type { KeyRange } from '../../store/keys.ts';
import { compareKeys } from '../../store/keys.ts';
import type { FeedState } from '../../store/primitives.ts';
import { ALL_KEYS } from './compare.ts';
import { type FeedPlace, isFew, readChanges } from './compare-changes.ts';
import type { FirstStore } from './first-store.ts';
import { stampOf } from './stamps.ts';

const WHOLE: Span = { lower: '', upper: undefined };

/** Some keys in a row, and the sum of what the first store has of them. */
export interface SummedRange {
  readonly span: Span;
  readonly sum: Sum;
}

/**
 * Sums over ranges of what the first store holds, for all members that are compared with it: it is
 * read once, and after that only where its feed tells of a change. A few bytes a key.
 */
export class FirstSums<V> {
  readonly #first: FirstStore<V>;
  readonly #sums = new RangeSums();
  readonly #fingerprinter: Fingerprinter;
  /** Changes up to here are noted. */
  #at: FeedPlace | undefined;

  constructor(first: FirstStore<V>) {
    this.#first = first;
    const words = new DataView(first.member.env.randomBytes(16).slice().buffer);
    const seed = [0, 4, 8, 12].map((at) => words.getUint32(at)) as unknown as Seed;
    this.#fingerprinter = new Fingerprinter(seed);
  }

  /** Entries, as far as they are known. */
  get count(): number {
    return this.#sums.count;
  }

  /** All ranges in order, none of them older than the state that is given; `undefined` where there are too few keys to be summed up. */
  async ranges(state: FeedState, life: Call): Promise<readonly SummedRange[] | undefined> {
    await this.#noteChanges(state, life);
    this.#sums.expire(this.#first.member.env.now());
    this.#sums.compact();
    await this.#read(life);
    const split = this.#sums.split(WHOLE, Number.POSITIVE_INFINITY);
    if (split === undefined || split === 'unknown') return undefined;
    const { bounds, sums } = split;
    return sums.map((sum, at) => ({
      span: { lower: at === 0 ? '' : (bounds[at - 1] as string), upper: bounds[at] },
      sum,
    }));
  }

  /** Holds the entries of a member, which come in the order of keys, against ranges. */
  matcher(ranges: readonly SummedRange[]): RangeMatcher<V> {
    return new RangeMatcher(ranges, this.#fingerprinter);
  }

  async #noteChanges(state: FeedState, life: Call): Promise<void> {
    const { member, feed } = this.#first;
    const at = this.#at;
    this.#at = undefined;
    const noted =
      isFew(at, state, this.count) &&
      (await readChanges(member, feed, at, state, life, (key) => this.#sums.touch(key)));
    if (!noted) this.#sums.clear();
    this.#at = { storeId: state.storeId, at: state.head };
  }

  /** Reads what is new. What fails in between is read the next time. */
  async #read(life: Call): Promise<void> {
    const { member } = this.#first;
    for (;;) {
      const reading = this.#sums.reading(WHOLE);
      if (reading === undefined) return;
      const range = rangeOf(reading.span);
      for await (const page of member.pages(life, (call) => member.primitives.scan(range, call)))
        for (const entry of page) {
          const { key, version, expiresAt } = entry;
          if (key.startsWith(member.notePrefix)) continue;
          reading.add(key, this.#fingerprinter.take(key, version), expiresAt);
        }
      reading.end();
    }
  }
}

/** Finds the ranges in which a member differs. */
export class RangeMatcher<V> {
  /** Entries in ranges that were found to be the same. */
  same = 0;
  readonly #ranges: readonly SummedRange[];
  readonly #fingerprinter: Fingerprinter;
  #at = 0;
  #own = new RunningSum();
  #differing: Span[] = [];

  constructor(ranges: readonly SummedRange[], fingerprinter: Fingerprinter) {
    this.#ranges = ranges;
    this.#fingerprinter = fingerprinter;
  }

  add(entry: Entry<V>): void {
    const { key } = entry;
    for (let upper = this.#upper; upper !== undefined && compareKeys(upper, key) <= 0; ) {
      this.#close();
      upper = this.#upper;
    }
    this.#own.add(this.#fingerprinter.take(key, stampTextOf(entry)));
  }

  /** No more entries come. */
  end(): void {
    while (this.#at < this.#ranges.length) this.#close();
  }

  /** The ranges that are known to differ since this was last asked for; neighbours as one. */
  take(): readonly Span[] {
    const found = this.#differing;
    this.#differing = [];
    return found;
  }

  get #upper(): string | undefined {
    return this.#ranges[this.#at]?.span.upper;
  }

  #close(): void {
    const { span, sum } = this.#ranges[this.#at++] as SummedRange;
    const own = this.#own;
    this.#own = new RunningSum();
    if (isSameSum(sum, own)) {
      this.same += own.count;
      return;
    }
    const last = this.#differing.at(-1);
    if (last === undefined || last.upper !== span.lower) this.#differing.push(span);
    else this.#differing.splice(-1, 1, { lower: last.lower, upper: span.upper });
  }
}

/** The version of the first store's entry that a member's copy stands for; of what is no copy, a text that is no version. */
function stampTextOf(entry: EntryHead): string {
  return stampOf(entry)?.version ?? `\u0000${entry.version}`;
}

/** The keys of a span, in order. */
export function rangeOf({ lower, upper }: Span): KeyRange {
  return {
    ...ALL_KEYS,
    ...(lower !== '' && { lower: { key: lower, inclusive: true } }),
    ...(upper !== undefined && { upper: { key: upper, inclusive: false } }),
  };
}
