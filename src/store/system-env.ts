import type { Env, Timer } from './env.ts';

/** Longest delay that host timers keep; longer ones are renewed. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** What Node makes of a timer; browsers give a number, which holds nothing alive. */
interface Handle {
  ref?(): void;
  unref?(): void;
}

class SystemTimer implements Timer {
  #handle: ReturnType<typeof setTimeout> | undefined;
  #background: boolean;

  constructor(fn: () => void, delayMs: number, background: boolean) {
    this.#background = background;
    const step = (leftMs: number): void => {
      const delay = Math.min(leftMs, MAX_DELAY_MS);
      this.#handle = setTimeout(() => (leftMs > delay ? step(leftMs - delay) : fn()), delay);
      if (this.#background) (this.#handle as Handle).unref?.();
    };
    step(Math.max(0, delayMs));
  }

  setBackground(background: boolean): boolean {
    const { ref, unref } = this.#handle as Handle;
    if (ref === undefined || unref === undefined) return false;
    this.#background = background;
    (background ? unref : ref).call(this.#handle);
    return true;
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/** Where the host tells its own number, as Node does. */
const { pid } = (globalThis as { process?: { pid?: unknown } }).process ?? {};

/** The real clock, timers and randomness of Node and browsers. */
export const systemEnv: Env = Object.freeze({
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
  randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  setTimer: (fn: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer =>
    new SystemTimer(fn, delayMs, options?.background === true),
  ...(typeof pid === 'number' && { process: `pid ${pid}` }),
});
