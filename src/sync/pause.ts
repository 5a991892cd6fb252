import type { Env, Timer } from '../store/env.ts';

/** A wait that can be cut short. */
export class Pause {
  readonly #env: Env;
  #timer: Timer | undefined;
  #go: (() => void) | undefined;

  constructor(env: Env) {
    this.#env = env;
  }

  /** In the `background` it does not keep the process alive. */
  sleep(delayMs: number, options?: { readonly background: boolean }): Promise<void> {
    return new Promise((resolve) => {
      this.#go = resolve;
      this.#timer = this.#env.setTimer(() => this.cut(), delayMs, options);
    });
  }

  /** Ends the wait under way at once. */
  cut(): void {
    this.#timer?.cancel();
    this.#go?.();
    this.#go = undefined;
  }
}
