import type { Entry, EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { type CopyTimes, fromCopy, readAtOf } from './copies.ts';
import type { TieredOptions } from './options.ts';

/**
 * What a copy is good for: to be served; to be served while it is read again; to be served while the
 * back is away; nothing.
 */
export type Worth = 'fresh' | 'refresh' | 'grace' | 'none';

/**
 * How long copies are fresh, and what becomes of them then. Ages are told by the wall clock and begin
 * with the read of the back, or the write: a front may outlive the process, and a clock that only
 * runs while the machine does would call the copies of yesterday fresh. A wall clock that is set back
 * makes copies last longer by as much.
 */
export class Freshness {
  /** Copies are kept beyond their freshness, so that it takes their metadata to tell which are fresh. */
  readonly keepsOld: boolean;
  readonly #env: Env;
  readonly #ttlMs: number;
  readonly #refreshUntilMs: number;
  readonly #graceUntilMs: number;

  constructor(env: Env, ttlMs: number, refreshMs: number, graceMs: number) {
    this.#env = env;
    this.#ttlMs = ttlMs;
    this.#refreshUntilMs = ttlMs + refreshMs;
    this.#graceUntilMs = ttlMs + graceMs;
    this.keepsOld = refreshMs > 0 || graceMs > 0;
  }

  /** The times of a copy of what the back said after `readAt`. */
  timesOf(readAt: number): CopyTimes {
    const keepMs = Math.max(this.#refreshUntilMs, this.#graceUntilMs);
    return { readAt, keepUntil: Math.floor(readAt + keepMs) };
  }

  /** Whether what the back said after `readAt` is no longer fresh. */
  isOver(readAt: number): boolean {
    return this.#env.now() - readAt >= this.#ttlMs;
  }

  worthOf(copy: EntryHead): Worth {
    const ageMs = this.#ageOf(copy);
    if (ageMs < this.#ttlMs) return 'fresh';
    if (ageMs < this.#refreshUntilMs) return 'refresh';
    return ageMs < this.#graceUntilMs ? 'grace' : 'none';
  }

  /** The entry of an old copy, marked as such, where it may be served now because the back is away. */
  inPlaceOfBack<V>(copy: Entry<V>): Entry<V> | undefined {
    const { expiresAt } = copy;
    if (expiresAt !== undefined && expiresAt <= this.#env.now()) return undefined;
    if (this.#ageOf(copy) >= this.#graceUntilMs) return undefined;
    return { ...fromCopy(copy), stale: true };
  }

  /** What does not say how old it is, or is of a time to come, may be of any age. */
  #ageOf(copy: EntryHead): number {
    const readAt = readAtOf(copy);
    const ageMs = readAt === undefined ? -1 : this.#env.now() - readAt;
    return ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs;
  }
}

/** The rules of freshness that the options ask for; none where copies are fresh until they are replaced. */
export function freshnessOf<V>(options: TieredOptions<V>, env: Env): Freshness | undefined {
  const { ttlMs, staleWhileRevalidateMs = 0, graceMs = 0 } = options;
  if (ttlMs === undefined || ttlMs === Number.POSITIVE_INFINITY) return undefined;
  return new Freshness(env, ttlMs, staleWhileRevalidateMs, graceMs);
}
