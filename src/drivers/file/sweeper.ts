import type { Env, Timer } from '../../store/env.ts';
import type { Commits } from './commits.ts';
import type { FileEngine } from './engine.ts';

const SWEEP_EVERY_MS = 30_000;
/** So many keys are looked at without a breath, and so many in one sweep. */
const SLICE_KEYS = 64;
const SWEEP_KEYS = 2_048;
const BREATH_MS = 5;

/**
 * Removes expired entries, which are hidden without it: a part of the store each time, in the order
 * of keys and then from the beginning, as expiry stands in the files themselves.
 */
export class Sweeper {
  readonly #engine: FileEngine;
  readonly #commits: Commits;
  readonly #env: Env;
  #timer: Timer | undefined;
  #after: string | undefined;
  #left = SWEEP_KEYS;

  constructor(engine: FileEngine, commits: Commits, env: Env) {
    this.#engine = engine;
    this.#commits = commits;
    this.#env = env;
    this.#next(SWEEP_EVERY_MS);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #next(delayMs: number): void {
    this.#timer = this.#env.setTimer(() => this.#slice(), delayMs, { background: true });
  }

  #slice(): void {
    let more = false;
    try {
      more = this.#sweep();
    } catch {
      // Damage or a failing disk: the operation that meets it says so. The rest is gone through later.
      this.#after = undefined;
    }
    this.#left = more ? this.#left - SLICE_KEYS : SWEEP_KEYS;
    this.#next(more && this.#left > 0 ? BREATH_MS : SWEEP_EVERY_MS);
  }

  /** One slice; false at the end of the store. */
  #sweep(): boolean {
    const keys = this.#engine.keysAfter(this.#after, SLICE_KEYS);
    for (const key of keys) this.#commits.removeExpired(key);
    this.#after = keys.length < SLICE_KEYS ? undefined : keys.at(-1);
    return this.#after !== undefined;
  }
}
