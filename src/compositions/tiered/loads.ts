import { attempt, chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import { type Source, toCopy } from './copies.ts';
import type { CopyState } from './copy-state.ts';
import { removal, type Step } from './front-copies.ts';
import { type Moment, momentOf } from './known-misses.ts';
import { type Door, isAway } from './parts.ts';
import type { ThroughSetup } from './through-setup.ts';

/**
 * Why a key is read from the back: the front has nothing of it; what it has is too old; it is served
 * while it is read again; somebody wants what the back holds now.
 */
type Why = 'missing' | 'old' | 'refresh' | 'renewal';

/** A key that is being read from the back, in the generation in which that began. */
interface Reading<V> {
  readonly state: CopyState<V>;
  readonly generation: number;
  readonly why: Why;
  readonly since: Moment;
  /** Nobody knows what the front has of it. */
  readonly unasked: boolean;
  /** A copy was on its way to the front, which had nothing of it yet. */
  readonly awaited: boolean;
  /** It goes on beside a copy that is served, until there is an answer. */
  beside: boolean;
  /** What others may join. */
  shared: Promise<Entry<V> | undefined> | undefined;
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
  one(key: string, call: Call, isOld = false): Awaitable<Entry<V> | undefined> {
    return this.#join(key, call) ?? this.#read(key, call, isOld);
  }

  #read(key: string, call: Call, isOld: boolean): Awaitable<Entry<V> | undefined> {
    const { env, link, awaitsCopies } = this.#setup;
    const since = momentOf(env);
    const answer = link.askForAll(call, key, (part) => this.#back.readOne(key, part));
    const one = this.#beginReading(key, since, whyOf(call, isOld));
    if (!(answer instanceof Promise)) return this.#given(this.#keep([one], [answer]), answer);
    const kept = answer.then(
      (entry) => this.#keep([one], [entry]),
      () => this.#endReading([one]),
    );
    return this.#offer(one, awaitsCopies ? heard(kept.then(() => answer)) : answer);
  }

  /** As `one`; `old` has the keys of which the front has a copy that is too old. */
  many(
    keys: readonly string[],
    call: Call,
    old?: ReadonlyMap<string, unknown>,
  ): Awaitable<readonly (Entry<V> | undefined)[]> {
    const loads = new Map<string, Promise<Entry<V> | undefined>>();
    for (const key of keys) {
      const load = this.#join(key, call);
      if (load !== undefined) loads.set(key, load);
    }
    const rest = keys.filter((key) => !loads.has(key));
    if (rest.length > 0) {
      const since = momentOf(this.#setup.env);
      const answer = this.#setup.link.askForAll(call, undefined, (part) =>
        this.#back.readMany(rest, part),
      );
      const reading = rest.map((key) =>
        this.#beginReading(key, since, whyOf(call, old?.has(key) === true)),
      );
      if (!(answer instanceof Promise)) {
        const given = this.#given(this.#keep(reading, answer), answer);
        if (loads.size === 0) return given;
        rest.forEach((key, i) => {
          loads.set(
            key,
            Promise.resolve(given).then((entries) => entries[i]),
          );
        });
      } else {
        const each = this.#share(reading, answer);
        rest.forEach((key, i) => {
          loads.set(key, each[i] as Promise<Entry<V> | undefined>);
        });
      }
    }
    return Promise.all(keys.map((key) => loads.get(key)));
  }

  /** Reads keys again whose copies are served meanwhile, unless something is under way on them. Nobody hears of a failure. */
  refresh(keys: readonly string[], call: Call): Awaitable<unknown> {
    const { copies, link, env } = this.#setup;
    const due = keys.filter((key) => copies.states.get(key) === undefined);
    if (due.length === 0 || link.away) return undefined;
    const since = momentOf(env);
    return attempt(
      () => {
        const answer = link.ask(call, (part) => this.#back.readMany(due, part));
        const reading = due.map((key) => this.#beginReading(key, since, 'refresh'));
        if (!(answer instanceof Promise)) return this.#keep(reading, answer);
        return Promise.all(this.#share(reading, answer));
      },
      (done) => done,
      () => undefined,
    );
  }

  /** A read of the back under way whose result is new enough for who asks now. */
  #join(key: string, call: Call): Promise<Entry<V> | undefined> | undefined {
    const state = this.#setup.copies.states.get(key);
    if (state === undefined || this.#back.blocking) return undefined;
    if (call.fresh) return this.#joinRenewal(state, call);
    const running = state.load;
    if (running === undefined) return undefined;
    if (state.writers === 0) {
      // What was asked for so long ago would be given out older than a copy may be.
      if (this.#setup.freshness?.isOver(state.loadSinceMs) === true) return undefined;
      return heard(running.then((entry) => this.#unlessEnded(state, entry, call)));
    }
    const begin = async (): Promise<Entry<V> | undefined> => {
      state.nextLoad = undefined;
      if (state.load === running) state.load = undefined;
      return this.one(key, call);
    };
    state.nextLoad ??= heard(running.then(begin, begin));
    return state.nextLoad;
  }

  /** What was read before somebody joined may have ended before that: then they read it again, together. */
  #unlessEnded(
    state: CopyState<V>,
    entry: Entry<V> | undefined,
    call: Call,
  ): Awaitable<Entry<V> | undefined> {
    if (entry?.expiresAt === undefined || entry.expiresAt > this.#setup.env.now()) return entry;
    const begin = (): Awaitable<Entry<V> | undefined> => {
      state.nextLoad = undefined;
      return this.#read(state.key, call, true);
    };
    state.nextLoad ??= heard(Promise.resolve().then(begin));
    return state.nextLoad;
  }

  /** The next renewal: one that is under way may have begun before what is asked for was written. */
  #joinRenewal(state: CopyState<V>, call: Call): Promise<Entry<V> | undefined> | undefined {
    const running = state.renewal;
    if (running === undefined) return undefined;
    const begin = async (error?: unknown): Promise<Entry<V> | undefined> => {
      state.nextRenewal = undefined;
      if (state.renewal === running) state.renewal = undefined;
      // Nobody waits twice for a back that does not answer.
      if (isAway(error)) throw error;
      return this.one(state.key, call);
    };
    state.nextRenewal ??= heard(running.then(() => begin(), begin));
    return state.nextRenewal;
  }

  #beginReading(key: string, since: Moment, why: Why): Reading<V> {
    const { copies } = this.#setup;
    const state = copies.states.open(key);
    const beside = why === 'refresh' || why === 'renewal';
    state.readings++;
    if (beside) state.besides++;
    // What is on its way already may be older than what this one will have given.
    if (why === 'renewal') state.generation++;
    const unasked = copies.follows && !copies.open;
    const { generation } = state;
    const awaited = state.frontWrite !== undefined;
    return { state, generation, why, since, unasked, awaited, beside, shared: undefined };
  }

  /** From now on the copies beside which these were read are no longer served. */
  #answered(reading: readonly Reading<V>[]): void {
    for (const one of reading) {
      if (one.beside) one.state.besides--;
      one.beside = false;
    }
  }

  #endReading(reading: readonly Reading<V>[]): void {
    this.#answered(reading);
    for (const { state, shared } of reading) {
      if (shared !== undefined && state.load === shared) state.load = undefined;
      if (shared !== undefined && state.renewal === shared) state.renewal = undefined;
      state.readings--;
      this.#setup.copies.states.release(state);
    }
  }

  /** Lets others join what is being read, until its copy is stored or a write makes it old. */
  #share(
    reading: readonly Reading<V>[],
    answer: Promise<readonly (Entry<V> | undefined)[]>,
  ): readonly Promise<Entry<V> | undefined>[] {
    const kept = answer.then(
      (entries) => this.#keep(reading, entries),
      () => this.#endReading(reading),
    );
    const given = this.#setup.awaitsCopies ? kept.then(() => answer) : answer;
    return reading.map((one, i) => this.#offer(one, heard(given.then((entries) => entries[i]))));
  }

  #offer<T extends Promise<Entry<V> | undefined>>(one: Reading<V>, load: T): T {
    const { state, since, why } = one;
    one.shared = load;
    state.load = load;
    state.loadSinceMs = since.wallMs;
    if (why === 'renewal') state.renewal = load;
    return load;
  }

  /** What was read, at once or when its copies are kept. */
  #given<T>(kept: Awaitable<unknown>, result: T): Awaitable<T> {
    return this.#setup.awaitsCopies ? chain(kept, () => result) : result;
  }

  /** Stores copies of what was read, where nothing was written meanwhile. */
  #keep(
    reading: readonly Reading<V>[],
    entries: readonly (Entry<V> | undefined)[],
  ): Awaitable<unknown> {
    const { copies } = this.#setup;
    this.#answered(reading);
    for (let i = 0; i < reading.length; i++) this.#noteGiven(reading[i] as Reading<V>, entries[i]);
    const states = reading.map(({ state }) => state);
    const stored = chain(this.source(), (named) =>
      copies.apply(this.#front, states, () => this.#steps(reading, entries, named)),
    );
    return chain(stored, () => this.#endReading(reading));
  }

  /** Notes what somebody has been given. */
  #noteGiven({ state, unasked, why, shared }: Reading<V>, entry: Entry<V> | undefined): void {
    const { copies } = this.#setup;
    if (unasked) copies.fence(state);
    if (!copies.follows && why !== 'renewal') return;
    if (state.writers > 0) state.noteSeen(entry?.rev);
    // Another read under way may have seen less than this one gives.
    if (state.load !== shared) state.load = undefined;
  }

  #steps(
    reading: readonly Reading<V>[],
    entries: readonly (Entry<V> | undefined)[],
    named: Source,
  ): Step<V>[] {
    const steps: Step<V>[] = [];
    for (let i = 0; i < reading.length; i++) {
      const step = this.#stepOf(reading[i] as Reading<V>, entries[i], named);
      if (step !== undefined) steps.push(step);
    }
    return steps;
  }

  #stepOf(one: Reading<V>, entry: Entry<V> | undefined, named: Source): Step<V> | undefined {
    const { frontTakesExpiry, freshness, copies } = this.#setup;
    const { state, why, since } = one;
    if (state.generation !== one.generation || state.writers > 0) return this.#notKept(one, entry);
    // What a cache gives in place of its own back is nothing to keep.
    if (entry?.stale === true) return undefined;
    const { misses } = copies.states;
    if (entry === undefined) misses?.add(state.key, since);
    else misses?.delete(state.key);
    const copied = entry !== undefined && (frontTakesExpiry || entry.expiresAt === undefined);
    // A front that follows may have got a copy since it was asked, older than what was given here.
    const vacant = why === 'missing' && !one.awaited && !state.fenced && !copies.follows;
    if (!copied && vacant) return undefined;
    // Another read of the same generation may be older than this one.
    state.generation++;
    const write = copied
      ? toCopy(entry, entry.value, named, freshness?.timesOf(since.wallMs))
      : removal<V>(state.key);
    return { state, write, vacant };
  }

  /** What somebody was given and the front does not get: it must not show an older state afterwards. */
  #notKept({ state, why }: Reading<V>, entry: Entry<V> | undefined): Step<V> | undefined {
    const { copies, frontOnly } = this.#setup;
    const renews = why === 'renewal';
    if (renews) copies.states.misses?.delete(state.key);
    if (!copies.follows && !renews) return undefined;
    if (state.writers > 0) {
      // A write under way knows of it, unless its own copy stands already.
      if (!renews) return undefined;
      state.noteSeen(entry?.rev);
    }
    if (!frontOnly) return { state, write: removal<V>(state.key) };
    copies.fence(state);
    return undefined;
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
      state.load = undefined;
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
    return this.#setup.link.ask(call, work);
  }
}

/** A promise whose failure is told to whoever waits for it, if anybody does. */
function heard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function whyOf({ fresh }: Call, isOld: boolean): Why {
  if (fresh) return 'renewal';
  return isOld ? 'old' : 'missing';
}
