import { attempt, chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Entry, EntryHead } from '../../store/entry.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { fromCopy, type Source, toCopy } from './copies.ts';
import type { CopyState } from './copy-state.ts';
import { removal, type Step } from './front-copies.ts';
import { Loads } from './loads.ts';
import { appliedNothing, BackCall, backError, type Door } from './parts.ts';
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
    if (!copies.serves(key)) return this.#loads.one(key, call);
    return chain(
      copies.asked([key], () => this.#front.readOne(key, call)),
      (copy) => (copy === undefined ? this.#missed(key, call) : fromCopy(copy)),
    );
  }

  readMany(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]> {
    const { copies, frontOnly } = this.#setup;
    const resting = keys.filter((key) => copies.serves(key));
    const asked =
      resting.length === 0 ? [] : copies.asked(resting, () => this.#front.readMany(resting, call));
    return chain(asked, (answers) => {
      const found = new Map<string, Entry<V> | undefined>();
      resting.forEach((key, i) => {
        const copy = answers?.[i];
        if (copy !== undefined) found.set(key, fromCopy(copy));
        else if (frontOnly) found.set(key, undefined);
      });
      const missing = keys.filter((key) => !found.has(key));
      if (missing.length === 0) return keys.map((key) => found.get(key));
      return chain(this.#loads.many(missing, call), (loaded) => {
        missing.forEach((key, i) => {
          found.set(key, loaded[i]);
        });
        return keys.map((key) => found.get(key));
      });
    });
  }

  /** Entries of the front as they are to be given: those that are in doubt come from the back. */
  settle(entries: readonly Entry<V>[], call: Call): Awaitable<readonly Entry<V>[]> {
    const { copies } = this.#setup;
    const doubtful = entries.filter(({ key }) => !copies.serves(key));
    if (doubtful.length === 0) return entries.map(fromCopy);
    const keys = doubtful.map(({ key }) => key);
    return chain(this.#loads.many(keys, call), (loaded) => {
      const current = new Map(keys.map((key, i) => [key, loaded[i]]));
      return entries
        .map((entry) => (current.has(entry.key) ? current.get(entry.key) : fromCopy(entry)))
        .filter((entry) => entry !== undefined);
    });
  }

  commit(given: readonly Write<V>[], call: Call): Awaitable<CommitOutcome> {
    const { own } = this.#setup;
    // The copy is made when the caller may long have changed its value.
    const writes =
      own === undefined ? given : given.map((write) => owned(call.operation, write, own));
    const last = lastOf(writes);
    const states = last.map((at) => this.#begin((writes[at] as Write<V>).key));
    const part = new BackCall(call, this.#setup.backBounds);
    return attempt(
      () => chain(this.#clear(states), () => part.run(() => this.#back.commit(writes, part))),
      (done) =>
        chain(this.#loads.source(), (source) =>
          this.#conclude(states, done, (i) => {
            const at = last[i] as number;
            return this.#copyOf(writes[at] as Write<V>, done.outcomes[at]?.entry, source);
          }),
        ),
      (error) => {
        this.#failed(states, error, part.pending);
        throw backError(error);
      },
    );
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
  #copyOf(write: Write<V>, head: EntryHead | undefined, source: Source): Write<V> {
    const { around, frontTakesExpiry } = this.#setup;
    if (around || write.type === 'delete' || head === undefined) return removal(write.key);
    if (head.expiresAt !== undefined && !frontTakesExpiry) return removal(write.key);
    return toCopy(head, write.value, source);
  }

  #missed(key: string, call: Call): Awaitable<Entry<V> | undefined> {
    return this.#setup.frontOnly ? undefined : this.#loads.one(key, call);
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
