import type { Eviction } from '../../kernel/eviction.ts';
import type { Meta } from '../../store/entry.ts';
import { failure } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import { BoundedEngine, type EvictionPolicy } from './bounded.ts';
import { Recency } from './recency.ts';
import { valueBytes } from './value-bytes.ts';

export type { Eviction } from '../../kernel/eviction.ts';

/** Counted for each entry beside key, value and metadata: what the store itself needs for one. */
const ENTRY_BYTES = 400;
/** Less would not hold a few small entries. */
const MIN_BYTES = 4_096;

/** The bounds of `lru`; at least one of them. */
export interface LruLimits {
  /** Most entries. */
  readonly maxEntries?: number;
  /**
   * Most bytes, by estimate: 2 for each character of keys and strings, the length of byte arrays, 8
   * for a number, some for every object and property, and 400 for each entry. At least 4,096.
   */
  readonly maxBytes?: number;
}

const RULES = {
  maxEntries: is.positive,
  maxBytes: {
    expected: `a whole number of at least ${MIN_BYTES}`,
    accepts: (v: unknown) => Number.isSafeInteger(v) && (v as number) >= MIN_BYTES,
  },
};

/**
 * Bounds a store in entries, bytes or both: what has not been used for longest goes first. Reading an
 * entry by its key, and writing it, is use; listing is not. An entry that alone is larger than
 * `maxBytes` goes at once, and takes nothing else with it.
 *
 * One may be given to several stores; each has the bounds for itself.
 *
 * Errors: `invalid-argument` without a bound, or for one that makes no sense.
 *
 * ```ts
 * const front = memory({ evict: lru({ maxBytes: 64 * 1024 * 1024 }) });
 * ```
 */
export function lru(limits: LruLimits): Eviction {
  checkOptions('lru', limits, RULES);
  const { maxEntries, maxBytes } = limits ?? {};
  if (maxEntries === undefined && maxBytes === undefined)
    throw failure('invalid-argument', 'lru', 'no bound is given; expected maxEntries or maxBytes');
  const details = {
    evict: 'lru',
    ...(maxEntries !== undefined && { maxEntries }),
    ...(maxBytes !== undefined && { maxBytes }),
  };
  return {
    details: Object.freeze(details),
    bound: (engine) => new BoundedEngine(engine, new LeastRecentlyUsed(limits)),
  };
}

class LeastRecentlyUsed implements EvictionPolicy {
  readonly #recency = new Recency();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  /** Those that are too large by themselves. */
  readonly #tooLarge = new Set<string>();

  constructor({ maxEntries, maxBytes }: LruLimits) {
    this.#maxEntries = maxEntries ?? Number.POSITIVE_INFINITY;
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY;
  }

  wrote(key: string, value: unknown, meta: Meta | undefined): void {
    const bytes = this.#maxBytes === Number.POSITIVE_INFINITY ? 1 : entryBytes(key, value, meta);
    if (bytes > this.#maxBytes) {
      this.#recency.delete(key);
      this.#tooLarge.add(key);
      return;
    }
    this.#tooLarge.delete(key);
    this.#recency.add(key, bytes);
  }

  used(key: string): void {
    this.#recency.use(key);
  }

  removed(key: string): void {
    this.#recency.delete(key);
    this.#tooLarge.delete(key);
  }

  victims(): readonly string[] {
    if (this.#tooLarge.size === 0 && this.#fits()) return [];
    const victims = [...this.#tooLarge];
    this.#tooLarge.clear();
    while (!this.#fits()) victims.push(this.#recency.takeOldest() as string);
    return victims;
  }

  clear(): void {
    this.#recency.clear();
    this.#tooLarge.clear();
  }

  #fits(): boolean {
    return this.#recency.size <= this.#maxEntries && this.#recency.weight <= this.#maxBytes;
  }
}

function entryBytes(key: string, value: unknown, meta: Meta | undefined): number {
  const described = meta === undefined ? 0 : valueBytes(meta);
  return ENTRY_BYTES + 2 * key.length + valueBytes(value) + described;
}
