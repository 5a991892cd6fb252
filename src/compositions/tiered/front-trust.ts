import { Call } from '../../store/call.ts';
import type { Env, Timer } from '../../store/env.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { Primitives, Write } from '../../store/primitives.ts';
import type { CopyState } from './copy-state.ts';

const ALL_KEYS: KeyRange = { reverse: false, limit: Number.POSITIVE_INFINITY };
const FIRST_TRY_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

export interface FrontTrustSetup<V> {
  readonly env: Env;
  readonly front: Primitives<V>;
  /** How long the front is waited for, and then left alone. */
  readonly timeoutMs: number;
  /** Most keys to remember as fenced; beyond it nothing of the front is trusted until it is emptied. */
  readonly maxFenced: number;
  readonly onError: (error: unknown) => void;
  /** Writes of the front under way. */
  readonly underWay: ReadonlySet<unknown>;
  /** Forgets all fences. */
  lift(): void;
}

/**
 * Whether the front is to be asked at all. One that did not answer in time is left alone for as
 * long, so that not every call waits for it. One that was away for so long that the keys it holds
 * wrongly are too many to remember is emptied before it is asked again.
 */
export class FrontTrust<V> {
  /** False until the front has been emptied. */
  whole = true;
  readonly #setup: FrontTrustSetup<V>;
  #fenced = 0;
  /** How often it has been found that the front must be emptied. */
  #round = 0;
  #awayUntilMs = 0;
  #retry: Timer | undefined;
  #restarted: ((emptied: boolean) => void) | undefined;
  #closed = false;

  constructor(setup: FrontTrustSetup<V>) {
    this.#setup = setup;
  }

  get fenced(): number {
    return this.#fenced;
  }

  /** Whether the front has just let somebody wait in vain. */
  get away(): boolean {
    return this.#awayUntilMs > 0 && this.#setup.env.monotonicMs() < this.#awayUntilMs;
  }

  /** Somebody waited in vain. */
  missed(): void {
    this.#awayUntilMs = this.#setup.env.monotonicMs() + this.#setup.timeoutMs;
  }

  /** Keeps a key from being served from the front. */
  fence(state: CopyState<V>): void {
    state.fences++;
    if (state.fenced || !this.whole) return;
    state.fenced = true;
    if (++this.#fenced > this.#setup.maxFenced) this.#distrust();
  }

  unfence(state: CopyState<V>): void {
    if (!state.fenced) return;
    state.fenced = false;
    this.#fenced--;
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#restarted?.(false);
  }

  /** Empties the front before it is asked again; resolves when that is done, with false when it is closed meanwhile. */
  restart(): Promise<boolean> {
    this.#restarted?.(false);
    const restarted = new Promise<boolean>((resolve) => {
      this.#restarted = resolve;
    });
    this.#forget();
    this.#retry?.cancel();
    if (this.#closed) this.#restarted?.(false);
    else this.#tryToEmpty(FIRST_TRY_MS);
    return restarted;
  }

  #distrust(): void {
    this.#forget();
    this.#emptyAfter(FIRST_TRY_MS);
  }

  #forget(): void {
    this.whole = false;
    this.#fenced = 0;
    this.#round++;
    this.#setup.lift();
  }

  #emptyAfter(delayMs: number): void {
    if (this.#closed) return;
    const nextMs = Math.min(delayMs * 2, MAX_PAUSE_MS);
    this.#retry = this.#setup.env.setTimer(() => this.#tryToEmpty(nextMs), delayMs, {
      background: true,
    });
  }

  #tryToEmpty(nextMs: number): void {
    const round = this.#round;
    this.empty().then(
      (emptied) => {
        // Another one has begun meanwhile, and knows of more.
        if (round !== this.#round || this.#closed) return;
        if (!emptied) return this.#emptyAfter(nextMs);
        this.whole = true;
        this.#restarted?.(true);
      },
      (error: unknown) => {
        this.#setup.onError(error);
        if (round === this.#round) this.#emptyAfter(nextMs);
      },
    );
  }

  /** Removes every copy; false while a late write might still bring one back. */
  async empty(): Promise<boolean> {
    const { env, front, underWay } = this.#setup;
    if (underWay.size > 0) return false;
    const call = Call.background(env, 'front');
    const pages = front.scan(ALL_KEYS, call)[Symbol.asyncIterator]();
    for (;;) {
      const page = await this.#bounded(pages.next());
      if (page.done === true) return true;
      const copies = page.value.filter(({ origin }) => origin !== undefined);
      const removals = copies.map(({ key }): Write<V> => ({ type: 'delete', key }));
      if (removals.length > 0) await this.#bounded(front.commit(removals, call));
    }
  }

  #bounded<T>(step: T | Promise<T>): Promise<T> {
    const { env, timeoutMs } = this.#setup;
    return new Call(env, 'front', undefined, { timeoutMs }).guard(Promise.resolve(step));
  }
}
