import type { Env, Timer } from '../store/env.ts';

/** A wait that can be cut short. */
export class Pause {
  readonly #env: Env;
  #timer: Timer | undefined;
  #go: (() => void) | undefined;

  constructor(env: Env) {
    this.#env = env;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#go = resolve;
      this.#timer = this.#env.setTimer(() => this.cut(), delayMs);
    });
  }

  /** Ends the wait under way at once. */
  cut(): void {
    this.#timer?.cancel();
    this.#go?.();
    this.#go = undefined;
  }
}
