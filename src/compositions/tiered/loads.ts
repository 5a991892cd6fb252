import { attempt, chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import { type Source, toCopy } from './copies.ts';
import type { CopyState } from './copy-state.ts';
import { removal, type Step } from './front-copies.ts';
import { BackCall, backError, type Door } from './parts.ts';
import type { ThroughSetup } from './through-setup.ts';

/** A key that is being read from the back, in the generation in which that began. */
interface Reading<V> {
  readonly state: CopyState<V>;
  readonly generation: number;
  /** Nobody knows what the front has of it. */
  readonly unasked: boolean;
  /** What others may join. */
  shared?: Promise<Entry<V> | undefined> | undefined;
}

/**
 * Reads of the back for keys that the front does not have or must not be asked for: one at a time
 * for each key, shared by all who ask meanwhile. What was read becomes a copy only if no write was
 * under way on its key at any moment since the read began.
 */
export class Loads<V> {
  readonly #setup: ThroughSetup<V>;
  readonly #front: Door<V>;
  readonly #back: Door<V>;

  constructor(setup: ThroughSetup<V>, front: Door<V>, back: Door<V>) {
    this.#setup = setup;
    this.#front = front;
    this.#back = back;
  }

  /** Reads a key from the back, once for all who ask meanwhile, and keeps a copy where that is safe. */
  one(key: string, call: Call): Awaitable<Entry<V> | undefined> {
    const joined = this.#join(key, call);
    if (joined !== undefined) return joined;
    const answer = this.#askForAll(call, key, (part) => this.#back.readOne(key, part));
    const reading = this.#beginReading([key]);
    if (!(answer instanceof Promise)) {
      this.#keep(reading, [answer]);
      return answer;
    }
    this.#share(
      reading,
      answer.then((entry) => [entry]),
      [answer],
    );
    return answer;
  }

  many(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]> {
    const loads = new Map<string, Promise<Entry<V> | undefined>>();
    for (const key of keys) {
      const load = this.#join(key, call);
      if (load !== undefined) loads.set(key, load);
    }
    const rest = keys.filter((key) => !loads.has(key));
    const answer =
      rest.length === 0
        ? []
        : this.#askForAll(call, undefined, (part) => this.#back.readMany(rest, part));
    const reading = this.#beginReading(rest);
    if (answer instanceof Promise) {
      const each = rest.map((_, i) => answer.then((entries) => entries[i]));
      rest.forEach((key, i) => {
        loads.set(key, each[i] as Promise<Entry<V> | undefined>);
      });
      this.#share(reading, answer, each);
    } else {
      this.#keep(reading, answer);
      if (loads.size === 0) return answer;
      rest.forEach((key, i) => {
        loads.set(key, Promise.resolve(answer[i]));
      });
    }
    return Promise.all(keys.map((key) => loads.get(key)));
  }

  /** A read of the back under way whose result is new enough for who asks now. */
  #join(key: string, call: Call): Promise<Entry<V> | undefined> | undefined {
    const state = this.#setup.copies.states.get(key);
    const running = state?.load;
    if (state === undefined || running === undefined || this.#back.blocking) return undefined;
    if (state.writers === 0) return running;
    const begin = async (): Promise<Entry<V> | undefined> => {
      state.nextLoad = undefined;
      if (state.load === running) state.load = undefined;
      return this.one(key, call);
    };
    state.nextLoad ??= running.then(begin, begin);
    return state.nextLoad;
  }

  #beginReading(keys: readonly string[]): Reading<V>[] {
    const { copies } = this.#setup;
    return keys.map((key) => {
      const state = copies.states.open(key);
      state.readings++;
      return { state, generation: state.generation, unasked: copies.follows && !copies.open };
    });
  }

  #endReading(reading: readonly Reading<V>[]): void {
    for (const { state, shared } of reading) {
      if (shared !== undefined && state.load === shared) state.load = undefined;
      state.readings--;
      this.#setup.copies.states.release(state);
    }
  }

  /** Lets others join what is being read, until its copy is stored or a write makes it old. */
  #share(
    reading: readonly Reading<V>[],
    answer: Promise<readonly (Entry<V> | undefined)[]>,
    each: readonly Promise<Entry<V> | undefined>[],
  ): void {
    reading.forEach((one, i) => {
      one.shared = each[i];
      one.state.load = each[i];
    });
    // Who asked hears of a failure; here it only ends the sharing.
    for (const load of each) load.catch(() => {});
    answer.then(
      (entries) => this.#keep(reading, entries),
      () => this.#endReading(reading),
    );
  }

  /** Stores copies of what was read, where nothing was written meanwhile. */
  #keep(
    reading: readonly Reading<V>[],
    entries: readonly (Entry<V> | undefined)[],
  ): Awaitable<unknown> {
    const { copies, frontTakesExpiry } = this.#setup;
    reading.forEach(({ state, unasked }, i) => {
      if (unasked) copies.fence(state);
      if (copies.follows && state.writers > 0) state.noteSeen(entries[i]?.rev);
    });
    const stepsFrom = (named: Source): Step<V>[] =>
      reading.flatMap(({ state, generation }, i): Step<V>[] => {
        if (state.generation !== generation || state.writers > 0) return this.#notKept(state);
        const entry = entries[i];
        const copied = entry !== undefined && (frontTakesExpiry || entry.expiresAt === undefined);
        if (!copied && !state.fenced) return [];
        // Another read of the same generation may be older than this one.
        state.generation++;
        const write = copied ? toCopy(entry, entry.value, named) : removal<V>(state.key);
        return [{ state, write, vacant: !state.fenced }];
      });
    const states = reading.map(({ state }) => state);
    const stored = chain(this.source(), (named) =>
      copies.apply(this.#front, states, () => stepsFrom(named)),
    );
    return chain(stored, () => this.#endReading(reading));
  }

  /** What somebody was given and the front does not get: it must not show an older state afterwards. */
  #notKept(state: CopyState<V>): Step<V>[] {
    const { copies, frontOnly } = this.#setup;
    // A write under way knows of it.
    if (!copies.follows || state.writers > 0) return [];
    if (!frontOnly) return [{ state, write: removal<V>(state.key) }];
    copies.fence(state);
    return [];
  }

  /** Reads a key from the back for one caller, and keeps nothing. */
  asIs(key: string, call: Call): Awaitable<Entry<V> | undefined> {
    const answer = this.ask(call, (part) => this.#back.readOne(key, part));
    const { copies } = this.#setup;
    if (!copies.follows) return answer;
    return chain(answer, (entry) => {
      const state = copies.states.open(key);
      if (state.writers > 0) state.noteSeen(entry?.rev);
      else copies.fence(state);
      copies.states.release(state);
      return entry;
    });
  }

  /** The name of the back, for the copies. */
  source(): Awaitable<Source> {
    const { source } = this.#setup;
    return this.#back.blocking ? source.now() : source.get();
  }

  /** Asks the back for one caller. */
  ask<T>(call: Call, work: (part: Call) => Awaitable<T>): Awaitable<T> {
    return attempt(
      () => new BackCall(call, this.#setup.backBounds).run(work),
      (result) => result,
      (error) => {
        throw backError(error);
      },
    );
  }

  /** Asks the back for whoever wants to know: no single caller's end ends it. */
  #askForAll<T>(
    { operation, timeoutMs }: Call,
    key: string | undefined,
    work: (part: Call) => Awaitable<T>,
  ): Awaitable<T> {
    return this.ask(new Call(this.#setup.env, operation, key, { timeoutMs }), work);
  }
}
