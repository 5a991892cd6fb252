import type { Env, Timer } from '../store/env.ts';
import type { StrataError } from '../store/errors.ts';

/** When something that fails is left alone, and for how long. */
export interface BreakerSetup {
  readonly env: Env;
  /** So many failures in a row open it. */
  readonly failures: number;
  /** The first pause. It doubles with every try in vain; half of it is left to chance. */
  readonly pauseMs: number;
  readonly maxPauseMs: number;
  /** It has opened: calls are refused from now on. */
  onOpen(cause: StrataError): void;
  /** It has closed again. */
  onClose(openMs: number): void;
  /** A pause is over: somebody may try. Who tries asks `admit` like anybody else. */
  onPauseOver(): void;
}

/** How an admitted call ended: it was answered, it failed for want of an answer, or it says nothing. */
export type Verdict = 'answered' | 'no-verdict' | StrataError;

/**
 * A circuit breaker. Closed, it admits every call; so many failures in a row open it. Open, it admits
 * none until its pause is over, and then one at a time: an answer closes it, a failure begins the next,
 * longer pause. Verdicts on calls that were admitted before its state last changed say nothing of now,
 * and do not count.
 */
export class Breaker {
  readonly #setup: BreakerSetup;
  /** Changes with the state; a call carries the one in which it was admitted. */
  #ticket = 1;
  #failures = 0;
  #cause: StrataError | undefined;
  #openedMs: number | undefined;
  #nextTryMs = 0;
  #pauseMs: number;
  #trying = false;
  #timer: Timer | undefined;
  #ended = false;

  constructor(setup: BreakerSetup) {
    this.#setup = setup;
    this.#pauseMs = setup.pauseMs;
  }

  /** Why it is open, or what failed last; nothing after an answer. */
  get cause(): StrataError | undefined {
    return this.#cause;
  }

  /** For how long it has been open, in ms; `undefined` while it is closed. */
  get openMs(): number | undefined {
    return this.#openedMs === undefined
      ? undefined
      : this.#setup.env.monotonicMs() - this.#openedMs;
  }

  /** How long until the next try is allowed, in ms; 0 when one is, or is under way. */
  get nextTryInMs(): number {
    return Math.max(0, this.#nextTryMs - this.#setup.env.monotonicMs());
  }

  /** Whether `admit` would admit a call now. */
  get admits(): boolean {
    return this.#openedMs === undefined || (!this.#trying && this.nextTryInMs === 0);
  }

  /** A ticket for a call, to be given back with its verdict; `undefined` for a call that must not be made. */
  admit(): number | undefined {
    if (this.#openedMs === undefined) return this.#ticket;
    if (!this.admits) return undefined;
    this.#trying = true;
    return ++this.#ticket;
  }

  /** Tells how an admitted call ended. */
  settle(ticket: number, verdict: Verdict): void {
    if (ticket !== this.#ticket || this.#ended) return;
    if (verdict === 'answered') this.#answered();
    else if (verdict !== 'no-verdict') this.#failed(verdict);
    else if (this.#trying) this.#pause();
  }

  /** Nothing happens from now on. */
  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
  }

  #answered(): void {
    this.#failures = 0;
    this.#cause = undefined;
    const { openMs } = this;
    if (openMs === undefined) return;
    this.#ticket++;
    this.#openedMs = undefined;
    this.#trying = false;
    this.#pauseMs = this.#setup.pauseMs;
    this.#timer?.cancel();
    this.#setup.onClose(openMs);
  }

  #failed(cause: StrataError): void {
    const { env, failures, maxPauseMs } = this.#setup;
    this.#cause = cause;
    if (this.#openedMs === undefined && ++this.#failures < failures) return;
    const opens = this.#openedMs === undefined;
    if (opens) this.#openedMs = env.monotonicMs();
    else this.#pauseMs = Math.min(this.#pauseMs * 2, maxPauseMs);
    this.#pause();
    if (opens) this.#setup.onOpen(cause);
  }

  #pause(): void {
    const { env, maxPauseMs } = this.#setup;
    const pauseMs = Math.min(this.#pauseMs, maxPauseMs) * (0.5 + env.random() / 2);
    this.#ticket++;
    this.#trying = false;
    this.#nextTryMs = env.monotonicMs() + pauseMs;
    this.#timer?.cancel();
    this.#timer = env.setTimer(
      () => {
        // A timer may come a little before its time.
        this.#nextTryMs = Math.min(this.#nextTryMs, env.monotonicMs());
        this.#setup.onPauseOver();
      },
      pauseMs,
      { background: true },
    );
  }
}
