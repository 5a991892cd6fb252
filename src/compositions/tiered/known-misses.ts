import type { Env } from '../../store/env.ts';

/** So many keys are remembered, the newest; each costs its own length. */
const MAX_KEYS = 100_000;

/** A moment by both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export function momentOf(env: Env): Moment {
  return { wallMs: env.now(), monotonicMs: env.monotonicMs() };
}

/**
 * Keys that the back was seen not to have, for a while. Their age is what the clock says that has
 * run further: the wall clock may be set back, the other one may stand still while a machine sleeps.
 */
export class KnownMisses {
  readonly #env: Env;
  readonly #ttlMs: number;
  readonly #maxKeys: number;
  /** Oldest first. */
  readonly #seen = new Map<string, Moment>();

  constructor(env: Env, ttlMs: number, maxKeys: number = MAX_KEYS) {
    this.#env = env;
    this.#ttlMs = ttlMs;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#seen.size;
  }

  has(key: string): boolean {
    const seen = this.#seen.get(key);
    if (seen === undefined) return false;
    const { wallMs, monotonicMs } = momentOf(this.#env);
    const ageMs = Math.max(wallMs - seen.wallMs, monotonicMs - seen.monotonicMs);
    if (ageMs < this.#ttlMs) return true;
    this.#seen.delete(key);
    return false;
  }

  /** The back did not have the key at some moment after `since`. */
  add(key: string, since: Moment): void {
    this.#seen.delete(key);
    this.#seen.set(key, since);
    if (this.#seen.size <= this.#maxKeys) return;
    for (const oldest of this.#seen.keys()) {
      this.#seen.delete(oldest);
      return;
    }
  }

  delete(key: string): void {
    if (this.#seen.size > 0) this.#seen.delete(key);
  }

  clear(): void {
    this.#seen.clear();
  }
}
