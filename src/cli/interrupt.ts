import { EXIT } from './exit-codes.ts';

/** Not SIGHUP: handling it would undo `nohup`. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Signals that come again this soon are one wish: npm passes on what the terminal also sends. */
const SAME_WISH_MS = 2_000;

/**
 * The wish to stop, as a signal for every call: the first SIGINT or SIGTERM aborts it, so that work
 * ends in good order; one that comes later than a moment after ends the process at once. It listens
 * as long as the process lives: a repetition must not kill one that is just done.
 */
export class Interrupt {
  readonly #controller = new AbortController();
  #firstMs: number | undefined;

  constructor() {
    const onSignal = (): void => {
      const nowMs = performance.now();
      if (this.#firstMs === undefined) {
        this.#firstMs = nowMs;
        this.#controller.abort();
      } else if (nowMs - this.#firstMs > SAME_WISH_MS) {
        process.exit(EXIT.interrupted);
      }
    };
    for (const name of SIGNALS) process.on(name, onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the work without a signal of the system: the reader of the output went away. */
  stop(): void {
    this.#controller.abort();
  }

  /** Resolves when it is time to stop. */
  wait(): Promise<void> {
    const { signal } = this;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
  }
}
