import { attempt, chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Entry, EntryHead } from '../../store/entry.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import { FIRST_USER_KEY } from '../../store/keys.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { type CopyTimes, fromCopy, type Source, toCopy } from './copies.ts';
import type { CopyState } from './copy-state.ts';
import type { Worth } from './freshness.ts';
import { NO_ANSWER, removal, type Step } from './front-copies.ts';
import { Loads } from './loads.ts';
import { appliedNothing, type Door, isAway } from './parts.ts';
import type { ThroughSetup } from './through-setup.ts';

/** Longest time for which a write of unknown fate keeps copies from being made. */
const MAX_HOLD_MS = 30_000;

/**
 * Reads through the front, and writes to the back first (policies `through` and `around`).
 *
 * The rule that everything else follows from: **the front is asked for a key only while nothing is
 * under way on it**. From the beginning of a write to its end, and as long as its fate or the
 * front's copy is in doubt, the key is read from the back. What a read of the back gives is kept as a
 * copy only if no write was under way on the key at any moment since that read began (`Loads`);
 * otherwise it may be older than what the front holds or has just been rid of.
 */
export class Through<V> {
  readonly #setup: ThroughSetup<V>;
  readonly #front: Door<V>;
  readonly #back: Door<V>;
  readonly #loads: Loads<V>;

  constructor(setup: ThroughSetup<V>, front: Door<V>, back: Door<V>) {
    this.#setup = setup;
    this.#front = front;
    this.#back = back;
    this.#loads = new Loads(setup, front, back);
  }

  readOne(key: string, call: Call): Awaitable<Entry<V> | undefined> {
    // What an update starts from is the truth, also when others have changed it.
    if (call.operation === 'update') return this.#loads.asIs(key, call);
    const { copies } = this.#setup;
    if (call.fresh || !copies.serves(key)) return this.#loads.one(key, call);
    if (copies.states.misses?.has(key) === true) return undefined;
    const answer = copies.askedOne(this.#front, key, call);
    return answer instanceof Promise
      ? answer.then((copy) => this.#answered(key, copy, call))
      : this.#answered(key, answer, call);
  }

  readMany(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]> {
    if (call.fresh) return this.#loads.many(keys, call);
    const { copies } = this.#setup;
    const found = new Map<string, Entry<V> | undefined>();
    const resting = keys.filter((key) => {
      if (!copies.serves(key)) return false;
      if (copies.states.misses?.has(key) !== true) return true;
      found.set(key, undefined);
      return false;
    });
    const asked =
      resting.length === 0 ? [] : copies.asked(resting, () => this.#front.readMany(resting, call));
    return chain(asked, (answers) => {
      const old = this.#sort(resting, answers, found);
      const missing = keys.filter((key) => !found.has(key));
      if (missing.length === 0) return keys.map((key) => found.get(key));
      return chain(this.#loadMany(missing, call, old), (loaded) => {
        missing.forEach((key, i) => {
          found.set(key, loaded[i]);
        });
        return keys.map((key) => found.get(key));
      });
    });
  }

  /** Removes copies that are not what the back holds; they are not served before that is done. */
  distrust(keys: readonly string[]): Awaitable<unknown> {
    const states = keys.map((key) => this.#begin(key));
    return this.#conclude(states, undefined, () => 'doubt');
  }

  /** What the front has of keys, and nothing of those in doubt; never asks the back. */
  copies(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]> {
    const { copies } = this.#setup;
    const resting = keys.filter((key) => copies.serves(key));
    const asked =
      resting.length === 0 ? [] : copies.asked(resting, () => this.#front.readMany(resting, call));
    return chain(asked, (answers) => {
      const found = new Map(resting.map((key, i) => [key, answers?.[i]]));
      return keys.map((key) => {
        const copy = found.get(key);
        return copy !== undefined && this.#worthOf(copy) === 'fresh' ? fromCopy(copy) : undefined;
      });
    });
  }

  /** Entries of the front as they are to be given: those that are in doubt come from the back. */
  settle(entries: readonly Entry<V>[], call: Call): Awaitable<readonly Entry<V>[]> {
    const { copies } = this.#setup;
    const shown = (copy: Entry<V>): Entry<V> | undefined =>
      this.#worthOf(copy) === 'fresh' ? fromCopy(copy) : this.#alone(copy);
    const doubtful = entries.filter(({ key }) => !copies.serves(key));
    if (doubtful.length === 0) return entries.map(shown).filter((entry) => entry !== undefined);
    const keys = doubtful.map(({ key }) => key);
    return chain(this.#loads.many(keys, call), (loaded) => {
      const current = new Map(keys.map((key, i) => [key, loaded[i]]));
      return entries
        .map((entry) => (current.has(entry.key) ? current.get(entry.key) : shown(entry)))
        .filter((entry) => entry !== undefined);
    });
  }

  /** Reads keys again in the background whose copies are served meanwhile. */
  refresh(keys: readonly string[], call: Call): Awaitable<unknown> {
    return this.#loads.refresh(keys, call);
  }

  commit(given: readonly Write<V>[], call: Call): Awaitable<CommitOutcome> {
    const { own, link, env, freshness } = this.#setup;
    // Before anything is taken out of the front for it.
    const refusal = link.refusal(call);
    if (refusal !== undefined) throw refusal;
    const times = freshness?.timesOf(env.now());
    // The copy is made when the caller may long have changed its value.
    const writes =
      own === undefined ? given : given.map((write) => owned(call.operation, write, own));
    const last = lastOf(writes);
    const states = last.map((at) => this.#begin((writes[at] as Write<V>).key));
    const part = link.part(call);
    return attempt(
      () => chain(this.#clear(states), () => link.run(part, () => this.#back.commit(writes, part))),
      (done) =>
        chain(this.#loads.source(), (source) =>
          this.#conclude(states, done, (i) => {
            const at = last[i] as number;
            return this.#copyOf(writes[at] as Write<V>, done.outcomes[at]?.entry, source, times);
          }),
        ),
      (error) => {
        this.#failed(states, error, part.pending);
        throw error;
      },
    );
  }

  #answered(
    key: string,
    copy: Entry<V> | undefined | typeof NO_ANSWER,
    call: Call,
  ): Awaitable<Entry<V> | undefined> {
    // A front that does not answer does not say that there is no such key.
    if (copy === NO_ANSWER) return this.#loads.one(key, call);
    return copy === undefined ? this.#missed(key, call) : this.#served(copy, call);
  }

  #worthOf(copy: Entry<V>): Worth {
    return this.#setup.freshness?.worthOf(copy) ?? 'fresh';
  }

  /** What is given for a copy of the front: itself, or what the back says. */
  #served(copy: Entry<V>, call: Call): Awaitable<Entry<V> | undefined> {
    const { frontOnly, refresh } = this.#setup;
    const worth = this.#worthOf(copy);
    if (worth === 'fresh') return fromCopy(copy);
    if (frontOnly) return this.#alone(copy);
    if (worth === 'refresh') {
      refresh([copy.key]);
      return fromCopy(copy);
    }
    return attempt(
      () => this.#loads.one(copy.key, call, true),
      (entry) => entry,
      (error) => this.#inPlaceOfBack(copy, error),
    );
  }

  /** Notes what the front gives as found; gives the copies that are too old. */
  #sort(
    keys: readonly string[],
    answers: readonly (Entry<V> | undefined)[] | undefined,
    found: Map<string, Entry<V> | undefined>,
  ): ReadonlyMap<string, Entry<V>> {
    const { refresh } = this.#setup;
    const old = new Map<string, Entry<V>>();
    const due: string[] = [];
    if (answers === undefined) return old;
    keys.forEach((key, i) => {
      const copy = answers[i];
      const worth = copy === undefined ? 'none' : this.#worthOf(copy);
      if (copy !== undefined && (worth === 'fresh' || worth === 'refresh')) {
        if (worth === 'refresh') due.push(key);
        found.set(key, fromCopy(copy));
      } else if (this.#isAbsent(key)) found.set(key, copy && this.#alone(copy));
      else if (copy !== undefined) old.set(key, copy);
    });
    if (due.length > 0) refresh(due);
    return old;
  }

  #loadMany(
    keys: readonly string[],
    call: Call,
    old: ReadonlyMap<string, Entry<V>>,
  ): Awaitable<readonly (Entry<V> | undefined)[]> {
    return attempt(
      () => this.#loads.many(keys, call, old),
      (entries) => entries,
      (error) =>
        keys.map((key) => {
          const copy = old.get(key);
          // One key of which nothing is known fails the whole.
          if (copy === undefined) throw error;
          return this.#inPlaceOfBack(copy, error);
        }),
    );
  }

  /** An old copy instead of an answer that failed to come. */
  #inPlaceOfBack(copy: Entry<V>, error: unknown): Entry<V> {
    const entry = isAway(error) ? this.#setup.freshness?.inPlaceOfBack(copy) : undefined;
    if (entry === undefined) throw error;
    return entry;
  }

  /** An old copy in a front that is read alone: it counts only while the back is away. */
  #alone(copy: Entry<V>): Entry<V> | undefined {
    const { link, freshness } = this.#setup;
    return link.away ? freshness?.inPlaceOfBack(copy) : undefined;
  }

  #begin(key: string): CopyState<V> {
    const state = this.#setup.copies.states.beginWrite(key);
    state.load = undefined;
    return state;
  }

  /** Takes copies out that a crash would leave behind older than the back. */
  #clear(states: readonly CopyState<V>[]): Awaitable<unknown> {
    if (!this.#setup.lasting) return undefined;
    return this.#setup.copies.apply(this.#front, states, () =>
      states.map((state) => ({ state, write: removal(state.key) })),
    );
  }

  /** Brings the front to what the end of a write means for it, then ends the write. */
  #conclude<T>(
    states: readonly CopyState<V>[],
    result: T,
    decide: (i: number) => Consequence<V>,
  ): Awaitable<T> {
    const { copies } = this.#setup;
    const applied = copies.apply(this.#front, states, () => this.#steps(states, decide));
    return chain(applied, () => {
      for (const state of states) {
        // A read that began during the write may be older than it.
        state.load = undefined;
        if (state.writers === 1) state.seenRev = 0;
        copies.states.endWrite(state);
      }
      return result;
    });
  }

  #steps(states: readonly CopyState<V>[], decide: (i: number) => Consequence<V>): Step<V>[] {
    const { frontOnly } = this.#setup;
    const steps: Step<V>[] = [];
    for (let i = 0; i < states.length; i++) {
      const state = states[i] as CopyState<V>;
      const consequence = decide(i);
      if (consequence === 'none' && !state.overlapped && state.seenRev === 0) continue;
      const write = typeof consequence === 'string' ? undefined : consequence;
      const overtaken = write !== undefined && isOvertaken(write, state);
      // Of writes that overlap it is not known which one the back took last.
      const doubtful = state.overlapped || overtaken || write === undefined;
      if (!doubtful) steps.push({ state, write });
      else if (!frontOnly) steps.push({ state, write: removal(state.key) });
      else if (write !== undefined && !(overtaken && write.type === 'delete'))
        steps.push({ state, write, doubtful });
      // Nobody would bring back a copy that is taken out: the next read looks it up instead.
      else this.#setup.copies.fence(state);
    }
    return steps;
  }

  /** A failed write: what it means for the copies depends on what may have become of it. */
  #failed(
    states: readonly CopyState<V>[],
    error: unknown,
    pending: Promise<unknown> | undefined,
  ): void {
    const { env, backIsAtomic, backBounds, holds } = this.#setup;
    const whole = backIsAtomic || states.length === 1;
    const release = (): void => {
      void this.#conclude(states, undefined, () => 'doubt');
    };
    if (pending !== undefined)
      pending.then(release, (late) => this.#failed(states, late, undefined));
    else if (whole && appliedNothing(error)) void this.#conclude(states, undefined, () => 'none');
    else if (whole && isStrataError(error, 'conflict')) release();
    else {
      // It may still land. Until it no longer can, no copy is kept.
      const timer = env.setTimer(
        () => {
          holds.delete(timer);
          release();
        },
        Math.min(backBounds.timeoutMs, MAX_HOLD_MS),
        { background: true },
      );
      holds.add(timer);
    }
  }

  /** The copy that a write leaves in the front. */
  #copyOf(
    write: Write<V>,
    head: EntryHead | undefined,
    source: Source,
    times: CopyTimes | undefined,
  ): Write<V> {
    const { around, frontTakesExpiry } = this.#setup;
    if (around || write.type === 'delete' || head === undefined) return removal(write.key);
    if (head.expiresAt !== undefined && !frontTakesExpiry) return removal(write.key);
    return toCopy(head, write.value, source, times);
  }

  /**
   * Whether a miss of the front says that there is no such key: in a front that is read alone, unless
   * it has failed to answer. One that follows is not filled with reserved keys.
   */
  #isAbsent(key: string): boolean {
    const { frontOnly, copies } = this.#setup;
    if (copies.follows && key < FIRST_USER_KEY) return false;
    return frontOnly && copies.serves(key);
  }

  #missed(key: string, call: Call): Awaitable<Entry<V> | undefined> {
    return this.#isAbsent(key) ? undefined : this.#loads.one(key, call);
  }
}

function owned<V>(operation: string, write: Write<V>, own: (value: V) => V): Write<V> {
  if (write.type === 'delete') return write;
  const { key } = write;
  try {
    return { ...write, value: own(write.value) };
  } catch (cause) {
    const code = isStrataError(cause) ? cause.code : 'invalid-argument';
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError(
      code,
      `${operation}: the value of ${JSON.stringify(key)} cannot be kept: ${why}`,
      { operation, key, cause },
    );
  }
}

/** Of each key the place of its last write. */
function lastOf<V>(writes: readonly Write<V>[]): readonly number[] {
  if (writes.length === 1) return [0];
  const last = new Map<string, number>();
  writes.forEach(({ key }, at) => {
    last.set(key, at);
  });
  return [...last.values()];
}

/** Whether a newer state of the key is known outside than the one that a write made. */
function isOvertaken<V>(write: Write<V>, { seenRev }: CopyState<V>): boolean {
  return seenRev > (write.type === 'set' ? (write.origin?.rev ?? 0) : 0);
}

/** What the end of a write means for the front's copy: a write of it, nothing, or that nobody knows. */
type Consequence<V> = Write<V> | 'none' | 'doubt';
