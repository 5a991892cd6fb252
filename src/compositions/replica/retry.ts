import type { Env, Timer } from '../../store/env.ts';

/** Tries again after pauses that grow, with jitter. */
export class Retry {
  readonly #env: Env;
  readonly #bounds: { readonly minMs: number; readonly maxMs: number };
  readonly #run: () => void;
  #timer: Timer | undefined;
  #pauses = 0;
  /** Nothing is tried until a pause is over, or never again. */
  isPausing = false;

  constructor(
    env: Env,
    bounds: { readonly minMs: number; readonly maxMs: number },
    run: () => void,
  ) {
    this.#env = env;
    this.#bounds = bounds;
    this.#run = run;
  }

  /** How many pauses there were since the last success. */
  get pauses(): number {
    return this.#pauses;
  }

  pause(): void {
    const { minMs, maxMs } = this.#bounds;
    const longestMs = Math.min(maxMs, minMs * 2 ** Math.min(20, this.#pauses++));
    const pauseMs = longestMs * (0.5 + this.#env.random() / 2);
    this.#timer = this.#env.setTimer(this.#over, pauseMs, { background: true });
  }

  /** Tries now, instead of after the pause. */
  kick(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#over();
  }

  succeeded(): void {
    this.#pauses = 0;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  readonly #over = (): void => {
    this.#timer = undefined;
    this.#run();
  };
}
