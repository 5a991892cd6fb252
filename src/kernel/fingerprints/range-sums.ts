import { compareKeys } from '../../store/keys.ts';
import { RunningSum, type Sum } from './fingerprint.ts';
import type { Span, SplitPart } from './messages.ts';

/** Some keys in a row. */
interface Bucket {
  /** Its first possible key: it ends where the next one begins. */
  readonly lower: string;
  readonly sum: RunningSum;
  /** When the first of its entries ends by itself. */
  expiresAt: number;
  /** Something in it changed, and it must be read again. */
  stale: boolean;
}

/** Buckets that must be read again: give every entry of the span to `add`, in order, then call `end`. */
export interface Reading {
  readonly span: Span;
  add(key: string, fingerprint: Omit<Sum, 'count'>, expiresAt: number | undefined): void;
  end(): void;
}

/** Keys in a bucket when it is made; it is divided above twice of this. */
export const BUCKET_KEYS = 32;

/**
 * Sums of all ranges of a set of entries, kept for buckets of some keys, so that memory is bounded
 * by a few bytes a key. A change is noted by its key alone: nobody remembers what the key held
 * before, so its bucket is read again when it is next asked for. Therefore no error can pile up,
 * and a change that is noted twice, or that was none, does no harm.
 */
export class RangeSums {
  readonly #bucketKeys: number;
  #buckets: Bucket[] = [empty('')];

  constructor(bucketKeys: number = BUCKET_KEYS) {
    this.#bucketKeys = bucketKeys;
  }

  /** Number of buckets. */
  get size(): number {
    return this.#buckets.length;
  }

  /** Entries, as far as they are known. */
  get count(): number {
    return this.#buckets.reduce((count, { sum }) => count + sum.count, 0);
  }

  /** The entry of a key may have changed. */
  touch(key: string): void {
    (this.#buckets[this.#indexOf(key)] as Bucket).stale = true;
  }

  /** Entries that have ended by now are gone. */
  expire(nowMs: number): void {
    for (const bucket of this.#buckets) if (bucket.expiresAt <= nowMs) bucket.stale = true;
  }

  /** Nothing is known any more. */
  clear(): void {
    this.#buckets = [empty('')];
  }

  /** The first buckets in a row within the span that must be read before it can be summed up. */
  reading({ lower, upper }: Span): Reading | undefined {
    const end = this.#endOf(upper);
    let from = this.#indexOf(lower);
    while (from < end && !this.#buckets[from]?.stale) from++;
    if (from >= end) return undefined;
    let to = from;
    while (to < end && this.#buckets[to]?.stale) to++;
    return this.#readingOf(from, to);
  }

  /**
   * The span in at most `fanOut` smaller ones of about equal size; undefined when it is not worth
   * it, `'unknown'` when it does not begin and end where buckets do.
   */
  split({ lower, upper }: Span, fanOut: number): SplitPart | 'unknown' | undefined {
    const from = this.#indexOf(lower);
    const to = this.#endOf(upper);
    if (to - from <= 1) return undefined;
    const ends = upper === undefined || this.#buckets[to]?.lower === upper;
    if (this.#buckets[from]?.lower !== lower || !ends) return 'unknown';
    const parts = Math.min(fanOut, to - from);
    const bounds: string[] = [];
    const sums: RunningSum[] = [];
    for (let part = 0; part < parts; part++) {
      const first = from + Math.floor(((to - from) * part) / parts);
      const last = from + Math.floor(((to - from) * (part + 1)) / parts);
      const sum = new RunningSum();
      for (let at = first; at < last; at++) sum.addSum((this.#buckets[at] as Bucket).sum);
      if (part > 0) bounds.push((this.#buckets[first] as Bucket).lower);
      sums.push(sum);
    }
    return { kind: 'split', bounds, sums };
  }

  /** Joins neighbours that have become small. Spans given out before may then be unknown. */
  compact(): void {
    const joined: Bucket[] = [];
    for (const bucket of this.#buckets) {
      const last = joined.at(-1);
      if (last === undefined || last.sum.count + bucket.sum.count > this.#bucketKeys)
        joined.push(bucket);
      else {
        last.sum.addSum(bucket.sum);
        last.expiresAt = Math.min(last.expiresAt, bucket.expiresAt);
        last.stale ||= bucket.stale;
      }
    }
    this.#buckets = joined;
  }

  #readingOf(from: number, to: number): Reading {
    const old = this.#buckets.slice(from, to);
    const upper = this.#buckets[to]?.lower;
    const made: Bucket[] = [];
    let next = 0;
    let pieces: Bucket[] = [];
    const open = (lower: string): void => {
      made.push(...this.#closed(pieces));
      pieces = [fresh(lower)];
      next++;
    };
    open((old[0] as Bucket).lower);
    return {
      span: { lower: (old[0] as Bucket).lower, upper },
      add: (key, fingerprint, expiresAt) => {
        // Bounds that were given out stay where they are.
        while (next < old.length && compareKeys((old[next] as Bucket).lower, key) <= 0)
          open((old[next] as Bucket).lower);
        if ((pieces.at(-1) as Bucket).sum.count >= this.#bucketKeys) pieces.push(fresh(key));
        const piece = pieces.at(-1) as Bucket;
        piece.sum.add(fingerprint);
        if (expiresAt !== undefined) piece.expiresAt = Math.min(piece.expiresAt, expiresAt);
      },
      end: () => {
        while (next < old.length) open((old[next] as Bucket).lower);
        made.push(...this.#closed(pieces));
        if (made.length === to - from)
          for (const [i, bucket] of made.entries()) this.#buckets[from + i] = bucket;
        else this.#buckets = [...this.#buckets.slice(0, from), ...made, ...this.#buckets.slice(to)];
      },
    };
  }

  /** What one bucket has become: itself, unless it has grown too large. */
  #closed(pieces: Bucket[]): Bucket[] {
    const [first, second] = pieces;
    if (first === undefined || second === undefined || pieces.length > 2) return pieces;
    first.sum.addSum(second.sum);
    first.expiresAt = Math.min(first.expiresAt, second.expiresAt);
    return [first];
  }

  /** The bucket that a key belongs to. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#buckets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (compareKeys((this.#buckets[middle] as Bucket).lower, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The first bucket that lies wholly at or above `upper`. */
  #endOf(upper: string | undefined): number {
    if (upper === undefined) return this.#buckets.length;
    const at = this.#indexOf(upper);
    return this.#buckets[at]?.lower === upper ? at : at + 1;
  }
}

function fresh(lower: string): Bucket {
  return { lower, sum: new RunningSum(), expiresAt: Number.POSITIVE_INFINITY, stale: false };
}

function empty(lower: string): Bucket {
  return { ...fresh(lower), stale: true };
}
