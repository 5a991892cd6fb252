import { attempt, chain } from '../../kernel/awaitable.ts';
import { KeyedGenerations, KeyState } from '../../kernel/keyed-generations.ts';
import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import type { Awaitable, Write } from '../../store/primitives.ts';
import { appliedNothing, type Door } from './parts.ts';

/** What is under way on one key of a tiered store. While there is one, the front is not asked for the key. */
export class CopyState<V> extends KeyState {
  /** The front may hold something older than the back. */
  fenced = false;
  /** How often it has been fenced: a write of the front that began before lifts no fence. */
  fences = 0;
  /** The write of the front under way; its result never rejects. */
  frontWrite: Promise<unknown> | undefined = undefined;
  /** A read of the back. Those who ask now may share it, unless a write is under way: it may have begun before that took effect. */
  load: Promise<Entry<V> | undefined> | undefined = undefined;
  /** The read that begins after this one, for those who may not share it. */
  nextLoad: Promise<Entry<V> | undefined> | undefined = undefined;

  /** Reads of the back whose result is not dealt with yet: they must meet the writes of their time here. */
  readings = 0;

  override get idle(): boolean {
    return (
      this.writers === 0 && this.readings === 0 && !this.fenced && this.frontWrite === undefined
    );
  }
}

/** What the front is to hold of a key. */
export interface Step<V> {
  readonly state: CopyState<V>;
  readonly write: Write<V>;
  /** The front has no copy, so that a failure leaves nothing wrong in it. */
  readonly fresh?: boolean;
  /** It is not known to be the newest: the key stays fenced. */
  readonly doubtful?: boolean;
}

/** Decides, at the moment of writing, what the front is to hold; a key left out keeps what it has. */
export type Steps<V> = () => readonly Step<V>[];

/**
 * Keeps the front's copies in step. Writes of one key follow one another, because parts may apply
 * two writes under way in either order. Nothing here fails: a key that could not be brought to what
 * it should be is fenced, and stays so until a later write of the front succeeds.
 */
export class FrontCopies<V> {
  readonly states: KeyedGenerations<CopyState<V>> = new KeyedGenerations(
    (key) => new CopyState<V>(key),
  );
  /** Writes of the front under way. */
  readonly underWay: Set<Promise<unknown>> = new Set();
  readonly #env: Env;
  readonly #timeoutMs: number;
  readonly #onError: (error: unknown) => void;

  constructor(env: Env, timeoutMs: number, onError: (error: unknown) => void) {
    this.#env = env;
    this.#timeoutMs = timeoutMs;
    this.#onError = onError;
  }

  /** Resolves with true when the front holds what was decided. */
  apply(door: Door<V>, states: readonly CopyState<V>[], steps: Steps<V>): Awaitable<boolean> {
    const busy = states.flatMap((state) => state.frontWrite ?? []);
    if (busy.length === 0) return this.#write(door, steps());
    // Nobody can wait in a blocking call.
    if (door.blocking) return fence(steps());
    return this.#newCall()
      .guard(Promise.all(busy))
      .then(
        () => this.apply(door, states, steps),
        () => fence(steps()),
      );
  }

  /** An answer of the front, or `undefined` where it fails or takes too long. */
  asked<T>(ask: () => Awaitable<T>): Awaitable<T | undefined> {
    let answer: Awaitable<T>;
    try {
      answer = ask();
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
    if (!(answer instanceof Promise)) return answer;
    return this.#newCall()
      .guard(answer)
      .catch((error: unknown) => {
        this.#onError(error);
        return undefined;
      });
  }

  #write(door: Door<V>, steps: readonly Step<V>[], last = false): Awaitable<boolean> {
    if (steps.length === 0) return true;
    const call = this.#newCall();
    const fences = steps.map(({ state }) => state.fences);
    return attempt(
      () => {
        const writing = door.commit(
          steps.map(({ write }) => write),
          call,
        );
        return writing instanceof Promise ? call.guard(this.#track(writing, steps)) : writing;
      },
      () => {
        steps.forEach(({ state, doubtful = false }, i) => {
          if (state.fences === fences[i]) state.fenced = doubtful;
        });
        return true;
      },
      (error) => {
        this.#onError(error);
        // One that took too long may still come to pass.
        const late = call.ended !== undefined;
        const doubtful = steps.filter(({ fresh }) => late || !fresh || !appliedNothing(error));
        fence(doubtful);
        if (late || last || doubtful.length === 0) return false;
        // What the front does not take, it can perhaps at least let go of.
        const removals = doubtful.map(({ state }) => ({ state, write: removal<V>(state.key) }));
        return chain(this.#write(door, removals, true), () => false);
      },
    );
  }

  /** Notes a write of the front as under way until it settles, however long its caller waits. */
  #track<T>(writing: Promise<T>, steps: readonly Step<V>[]): Promise<T> {
    const settled: Promise<void> = writing
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        this.underWay.delete(settled);
        for (const { state } of steps) {
          if (state.frontWrite === settled) state.frontWrite = undefined;
          this.states.release(state);
        }
      });
    this.underWay.add(settled);
    for (const { state } of steps) state.frontWrite = settled;
    return writing;
  }

  #newCall(): Call {
    return new Call(this.#env, 'front', undefined, { timeoutMs: this.#timeoutMs });
  }
}

export function removal<V>(key: string): Write<V> {
  return { type: 'delete', key };
}

/** Keeps keys from being served from the front; gives false, for the front does not hold what it should. */
export function fence<V>(steps: readonly Pick<Step<V>, 'state'>[]): boolean {
  for (const { state } of steps) {
    state.fenced = true;
    state.fences++;
  }
  return steps.length === 0;
}
