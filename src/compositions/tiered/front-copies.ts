import { chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import type { Primitives, Write } from '../../store/primitives.ts';
import { type CopyState, CopyStates } from './copy-state.ts';
import { FrontTrust } from './front-trust.ts';
import type { KnownMisses } from './known-misses.ts';
import { appliedNothing, type Door } from './parts.ts';

/** In place of an answer of the front about one key, of which it may well have nothing. */
export const NO_ANSWER: unique symbol = Symbol('no answer');

/** What the front is to hold of a key. */
export interface Step<V> {
  readonly state: CopyState<V>;
  readonly write: Write<V>;
  /** The front has no copy, so that a failure leaves nothing wrong in it. */
  readonly vacant?: boolean;
  /** It is not known to be the newest: the key stays fenced. */
  readonly doubtful?: boolean;
}

export interface FrontCopiesSetup<V> {
  readonly env: Env;
  readonly front: Primitives<V>;
  readonly timeoutMs: number;
  readonly maxFenced: number;
  readonly onError: (error: unknown) => void;
  /** Nobody brings back what is taken out: the front is not filled by reads. */
  readonly alone?: boolean;
  /** Absent where nothing is remembered of keys that do not exist. */
  readonly misses?: KnownMisses | undefined;
}

/** Decides, at the moment of writing, what the front is to hold; a key left out keeps what it has. */
export type Steps<V> = () => readonly Step<V>[];

/**
 * Keeps the front's copies in step. Writes of one key follow one another, because parts may apply
 * two writes under way in either order. Nothing here fails: a key that could not be brought to what
 * it should be is fenced, and stays so until a later write of the front succeeds.
 */
export class FrontCopies<V> {
  readonly states: CopyStates<V>;
  /** Whether the front follows the feed of the back: then nobody is shown an older state after a newer one. */
  follows = false;
  /** Closed while the front as a whole is not to be asked. */
  gate: (() => boolean) | undefined = undefined;
  /** Writes of the front under way. */
  readonly underWay: Set<Promise<unknown>> = new Set();
  readonly #env: Env;
  readonly #timeoutMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #trust: FrontTrust<V>;
  readonly #alone: boolean;
  #closed = false;

  constructor({
    env,
    front,
    timeoutMs,
    maxFenced,
    onError,
    alone = false,
    misses,
  }: FrontCopiesSetup<V>) {
    this.states = new CopyStates(misses);
    this.#env = env;
    this.#timeoutMs = timeoutMs;
    this.#onError = onError;
    this.#alone = alone;
    const { underWay } = this;
    const lift = (): void => this.#lift();
    this.#trust = new FrontTrust({ env, front, timeoutMs, maxFenced, onError, underWay, lift });
  }

  /** How many keys are kept from being served. */
  get fenced(): number {
    return this.#trust.fenced;
  }

  /** Whether the front as a whole may be asked. */
  get open(): boolean {
    return this.#trust.whole && (this.gate === undefined || this.gate());
  }

  /** False until the front has been emptied. */
  get whole(): boolean {
    return this.#trust.whole;
  }

  /** Whether the front may be asked for a key. */
  serves(key: string): boolean {
    const state = this.states.get(key);
    return (state === undefined || state.servable) && this.open;
  }

  /** Removes every copy; the front is not asked before. Resolves with false when it is closed meanwhile. */
  restart(): Promise<boolean> {
    return this.#trust.restart();
  }

  /** Gives up removing copies: whoever waits for that hears that it is not done. */
  endRestart(): void {
    this.#trust.close();
  }

  /** Keeps a key from being served from the front. */
  fence(state: CopyState<V>): void {
    this.#trust.fence(state);
  }

  /** Resolves with true when the front holds what was decided. */
  apply(door: Door<V>, states: readonly CopyState<V>[], steps: Steps<V>): Awaitable<boolean> {
    if (this.#closed || !this.#trust.whole) return false;
    if (this.#trust.away) return this.#forgo(steps());
    const busy = busyOf(states);
    if (busy === undefined) return this.#write(door, steps());
    // Nobody can wait in a blocking call.
    if (door.blocking) return this.#forgo(steps());
    return this.#newCall()
      .guard(Promise.all(busy))
      .then(
        () => this.apply(door, states, steps),
        () => this.#forgo(steps()),
      );
  }

  /** What the front has of a key, or `NO_ANSWER` where it fails or takes too long. */
  askedOne(
    door: Door<V>,
    key: string,
    call: Call,
  ): Awaitable<Entry<V> | undefined | typeof NO_ANSWER> {
    return this.#asked([key], () => door.readOne(key, call), NO_ANSWER);
  }

  /** An answer of the front about keys, or `undefined` where it fails or takes too long. */
  asked<T>(keys: readonly string[], ask: () => Awaitable<T>): Awaitable<T | undefined> {
    return this.#asked(keys, ask, undefined);
  }

  #asked<T, N>(keys: readonly string[], ask: () => Awaitable<T>, none: N): Awaitable<T | N> {
    const unanswered = (): N => {
      this.#unanswered(keys);
      return none;
    };
    if (this.#trust.away) return unanswered();
    let answer: Awaitable<T>;
    try {
      answer = ask();
    } catch (error) {
      this.#onError(error);
      return unanswered();
    }
    if (!(answer instanceof Promise)) return answer;
    const call = this.#newCall();
    return call.guard(answer).catch((error: unknown) => {
      if (call.ended !== undefined) this.#trust.missed();
      this.#onError(error);
      return unanswered();
    });
  }

  /** What the back says now must not be followed by an older copy. */
  #unanswered(keys: readonly string[]): void {
    if (!this.follows) return;
    for (const key of keys) {
      const state = this.states.open(key);
      this.fence(state);
      this.states.release(state);
    }
  }

  /** Waits for what is under way; nothing is written to the front from then on. */
  async close(): Promise<void> {
    await this.#newCall().guard(Promise.all(this.underWay)).catch(this.#onError);
    this.#closed = true;
    this.#trust.close();
  }

  /** Leaves the front to whoever uses it next: without the copies that only this store knows to be in doubt. */
  async leave(door: Door<V>): Promise<void> {
    // Who reads may have been given what is newer than a copy that is not replaced any more.
    const doubtful = [...this.states.all()].filter(
      ({ fenced, writers, readings }) => fenced || writers > 0 || (readings > 0 && !this.#alone),
    );
    const call = this.#newCall();
    try {
      if (!this.#trust.whole) await this.#trust.empty();
      else if (doubtful.length > 0)
        await call.guard(
          Promise.resolve(
            door.commit(
              doubtful.map(({ key }) => removal(key)),
              call,
            ),
          ),
        );
    } catch (error) {
      this.#onError(error);
    }
  }

  #write(door: Door<V>, steps: readonly Step<V>[], last = false): Awaitable<boolean> {
    if (steps.length === 0) return true;
    const call = this.#newCall();
    const fences = steps.map(({ state }) => state.fences);
    let writing: Awaitable<unknown>;
    try {
      const writes = steps.map(({ write }) => write);
      writing = door.commit(writes, call);
    } catch (error) {
      return this.#notWritten(door, steps, call, error, last);
    }
    if (!(writing instanceof Promise)) return this.#written(steps, fences);
    return call.guard(this.#track(writing, steps)).then(
      () => this.#written(steps, fences),
      (error: unknown) => this.#notWritten(door, steps, call, error, last),
    );
  }

  /** `fences` tells how often each key had been fenced when the write began. */
  #written(steps: readonly Step<V>[], fences: readonly number[]): true {
    for (let i = 0; i < steps.length; i++) {
      const { state, doubtful = false } = steps[i] as Step<V>;
      if (state.fences !== fences[i]) continue;
      if (doubtful) this.#trust.fence(state);
      else this.#trust.unfence(state);
    }
    return true;
  }

  #notWritten(
    door: Door<V>,
    steps: readonly Step<V>[],
    call: Call,
    error: unknown,
    last: boolean,
  ): Awaitable<false> {
    this.#onError(error);
    // One that took too long may still come to pass.
    const late = call.ended !== undefined;
    const doubtful = steps.filter(({ vacant }) => late || !vacant || !appliedNothing(error));
    for (const { state } of doubtful) this.#trust.fence(state);
    if (late) this.#trust.missed();
    if (late || last || this.#alone || doubtful.length === 0) return false;
    // What the front does not take, it can perhaps at least let go of.
    const removals = doubtful.map(({ state }) => ({ state, write: removal<V>(state.key) }));
    return chain(this.#write(door, removals, true), () => false);
  }

  /** Leaves the front as it is: what it holds of these keys counts no more. */
  #forgo(steps: readonly Step<V>[]): boolean {
    for (const { state, vacant } of steps) if (!vacant) this.#trust.fence(state);
    return false;
  }

  #lift(): void {
    for (const state of this.states.all()) {
      state.fenced = false;
      this.states.release(state);
    }
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

/** The writes of the front under way on keys, where there are any. */
function busyOf<V>(states: readonly CopyState<V>[]): Promise<unknown>[] | undefined {
  let busy: Promise<unknown>[] | undefined;
  for (const { frontWrite } of states) {
    if (frontWrite === undefined) continue;
    busy ??= [];
    busy.push(frontWrite);
  }
  return busy;
}

export function removal<V>(key: string): Write<V> {
  return { type: 'delete', key };
}
