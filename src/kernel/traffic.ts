import type { Awaitable } from '../store/awaitable.ts';
import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { failure } from '../store/errors.ts';

/** What is under way in a composition of stores, and whether it still takes calls. */
export class Traffic {
  readonly #env: Env;
  #underWay = 0;
  #closing = false;
  #idle: (() => void) | undefined;
  readonly #done = (): void => {
    if (--this.#underWay === 0) this.#idle?.();
  };

  constructor(env: Env) {
    this.#env = env;
  }

  /** Runs a call, for the close to wait for; after the close has begun it fails with `closed`. */
  run<T>({ operation, key }: Call, work: () => Awaitable<T>): Awaitable<T> {
    if (this.#closing) throw failure('closed', operation, 'the store is closed', { key });
    const result = work();
    if (!(result instanceof Promise)) return result;
    this.#underWay++;
    result.then(this.#done, this.#done);
    return result;
  }

  /** Takes no more calls; waits for those under way, but not for ever. */
  async end(timeoutMs: number): Promise<void> {
    this.#closing = true;
    if (this.#underWay === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    const call = new Call(this.#env, 'close', undefined, { timeoutMs });
    // What hangs then is left to the close of the part in which it does.
    await call.guard(idle).catch(() => {});
  }
}
