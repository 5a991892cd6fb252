import type { Awaitable } from '../../store/awaitable.ts';
import type { StrataError } from '../../store/errors.ts';

/** A writer that waits until a commit is in a member. */
export interface Waiter {
  readonly rev: number;
  /** Its place in the queue; infinite while it is left to the feed. */
  turn: number;
  state: 'waiting' | 'here' | { readonly error: StrataError };
  settle?: () => void;
  /** Nobody waits any more. */
  isLeft?: boolean;
}

/** So many are remembered before those that nobody waits for are looked for. */
const SWEPT_FROM = 1_024;

export function waiterFor(rev: number): Waiter {
  return { rev, turn: Number.POSITIVE_INFINITY, state: 'waiting' };
}

/** Settles when the member has the commit; without a waiter it has it. Errors: why it has not. */
export function reached(waiter: Waiter | undefined): Awaitable<void> {
  if (waiter === undefined || waiter.state === 'here') return;
  if (waiter.state !== 'waiting') throw waiter.state.error;
  return new Promise((resolve, reject) => {
    waiter.settle = () => {
      if (waiter.state === 'waiting') return;
      if (waiter.state === 'here') resolve();
      else reject(waiter.state.error);
    };
  });
}

/** The writers that wait for one member. */
export class WaiterList {
  #waiting: Waiter[] = [];
  #sweepAt = SWEPT_FROM;

  get size(): number {
    return this.#waiting.length;
  }

  add(waiter: Waiter): void {
    this.#waiting.push(waiter);
    if (this.#waiting.length < this.#sweepAt) return;
    this.#waiting = this.#waiting.filter(({ isLeft }) => isLeft !== true);
    this.#sweepAt = Math.max(SWEPT_FROM, 2 * this.#waiting.length);
  }

  /** What these wait for is in the member. */
  settle(isHere: (waiter: Waiter) => boolean): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => {
      if (!isHere(waiter)) return true;
      waiter.state = 'here';
      waiter.settle?.();
      return false;
    });
  }

  /** The queue is gone: the feed brings what they wait for. */
  forgetTurns(): void {
    for (const waiter of this.#waiting) waiter.turn = Number.POSITIVE_INFINITY;
  }

  rejectAll(error: StrataError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      waiter.state = { error };
      waiter.settle?.();
    }
  }
}
