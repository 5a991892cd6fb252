import type { Env } from '../../store/env.ts';

/** So many answers are remembered. */
const REMEMBERED = 64;
/** From so many on they say something. */
const TELLING = 8;
const UNKNOWN_MS = 20;
const PART = 0.95;

/** How long a member took for its last answers. */
export class Latencies {
  readonly #ms: number[] = [];
  #next = 0;
  #highMs = UNKNOWN_MS;

  /** What 95 of 100 answers stay below, in ms. */
  get highMs(): number {
    return this.#highMs;
  }

  /** Notes when an answer comes. Failures say nothing. */
  measure<T>(env: Env, answer: Promise<T>): Promise<T> {
    const fromMs = env.monotonicMs();
    answer.then(
      () => this.#note(env.monotonicMs() - fromMs),
      () => {},
    );
    return answer;
  }

  #note(tookMs: number): void {
    this.#ms[this.#next] = tookMs;
    this.#next = (this.#next + 1) % REMEMBERED;
    // Every eighth time is often enough.
    if (this.#next % TELLING !== 0) return;
    const sorted = [...this.#ms].sort((a, b) => a - b);
    this.#highMs = Math.max(1, sorted[Math.floor((sorted.length - 1) * PART)] as number);
  }
}
