import type { Env } from '../../store/env.ts';

/** After so many attempts in a row, over as many heartbeats, a tab goes on alone. */
const MOST = 3;

/**
 * Attempts of a tab to join another's connection that were put off, since its copy was behind what
 * the other keeps. When they are too many its store is not the others'. Time counts too: a busy
 * browser shows only after a while what another tab has committed.
 */
export class PostponedJoins {
  readonly #env: Env;
  readonly #heartbeatMs: number;
  #count = 0;
  #sinceMs = 0;

  constructor(env: Env, heartbeatMs: number) {
    this.#env = env;
    this.#heartbeatMs = heartbeatMs;
  }

  get areTooMany(): boolean {
    return (
      this.#count >= MOST && this.#env.monotonicMs() - this.#sinceMs >= MOST * this.#heartbeatMs
    );
  }

  add(): void {
    if (this.#count++ === 0) this.#sinceMs = this.#env.monotonicMs();
  }

  clear(): void {
    this.#count = 0;
  }
}
