import type { Call } from '../call.ts';

interface Waiter {
  readonly call: Call;
  readonly wake: () => void;
  readonly fail: (error: Error) => void;
}

/** Wakes the watchers of a store; what they then find is read from the store, so a spare ring does no harm. */
export class Doorbell {
  #waiting: Set<Waiter> = new Set();

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether anybody waits for whom the process is to live on. */
  get keepsProcess(): boolean {
    for (const { call } of this.#waiting) if (call.keepsProcess) return true;
    return false;
  }

  /** Resolves at the next ring. Register before checking the head, or a ring between is missed. */
  wait(call: Call): Promise<void> {
    if (call.ended !== undefined) return Promise.reject(call.ended);
    return new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        call,
        wake: (): void => {
          forget();
          resolve();
        },
        fail: (error: Error): void => {
          forget();
          reject(error);
        },
      };
      this.#waiting.add(waiter);
      const forget = call.onEnd((error) => {
        this.#waiting.delete(waiter);
        reject(error);
      });
    });
  }

  ring(): void {
    const waiting = this.#waiting;
    if (waiting.size === 0) return;
    this.#waiting = new Set();
    for (const { wake } of waiting) wake();
  }

  /** Ends every wait with an error: the store closes. */
  fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const { fail } of waiting) fail(error);
  }
}
