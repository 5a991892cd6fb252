import type { Env } from '../../store/env.ts';

/** Longest time for which the follower keeps others from running, in ms. */
const SLICE_MS = 5;

/** Lets others run between the parts of long work. */
export class Pace {
  readonly #env: Env;
  #sinceMs: number;

  constructor(env: Env) {
    this.#env = env;
    this.#sinceMs = env.monotonicMs();
  }

  /** A promise to wait for where it is somebody else's turn. */
  get breath(): Promise<void> | undefined {
    if (this.#env.monotonicMs() - this.#sinceMs < SLICE_MS) return undefined;
    return new Promise((resolve) => {
      this.#env.setTimer(
        () => {
          this.#sinceMs = this.#env.monotonicMs();
          resolve();
        },
        0,
        { background: true },
      );
    });
  }

  /** Others have run. */
  rested(): void {
    this.#sinceMs = this.#env.monotonicMs();
  }
}
