import type { Env } from '../store/env.ts';

/** The source's clock, told at each connection and counted on from there: a wrong local one does no harm. */
export class SourceClock {
  readonly #env: Env;
  #toldMs: number | undefined;
  #atMs = 0;

  constructor(env: Env) {
    this.#env = env;
  }

  /** The source says what time it is. */
  told(nowMs: number): void {
    this.#toldMs = nowMs;
    this.#atMs = this.#env.monotonicMs();
  }

  /** How long ago that was. */
  get ageMs(): number {
    return this.#env.monotonicMs() - this.#atMs;
  }

  now(): number {
    return this.#toldMs === undefined ? this.#env.now() : this.#toldMs + this.ageMs;
  }

  /** The local environment with this clock. */
  env(): Env {
    const env = this.#env;
    return {
      now: () => this.now(),
      monotonicMs: () => env.monotonicMs(),
      random: () => env.random(),
      randomBytes: (length) => env.randomBytes(length),
      setTimer: (fn, delayMs, options) => env.setTimer(fn, delayMs, options),
    };
  }
}
