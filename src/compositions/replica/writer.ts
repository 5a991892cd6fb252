import { attempt, chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import type { AheadWrite, AtOnce } from './at-once.ts';
import type { Committed, FirstStore } from './first-store.ts';
import type { Intent } from './intents.ts';
import type { ReplicaJournal } from './journal.ts';
import type { Lane } from './lane.ts';
import type { MemberCause } from './reader.ts';
import type { Load, Room } from './room.ts';
import type { Told } from './told.ts';
import { reached, type Waiter } from './waiters.ts';

export interface WriterSetup<V> {
  readonly first: FirstStore<V, Told<V>>;
  /** Of the other synchronous members. */
  readonly sync: readonly Lane<V>[];
  readonly async: readonly Lane<V>[];
  /** How many of `sync` must have a write before it is acknowledged. */
  readonly needed: number;
  /** Where a write is kept until the asynchronous members have it. */
  readonly journal: ReplicaJournal<V> | undefined;
  readonly bytesOf: (write: Write<V>) => number;
  /** Writes to all synchronous members at the same time; absent: to the first before the others. */
  readonly atOnce: AtOnce<V> | undefined;
}

/** Writes to the first store, and waits until as many members have it as must. */
export class Writer<V> {
  readonly #setup: WriterSetup<V>;
  /** Where a writer must find room: in the queues that it does not wait for, and the journal. */
  readonly #bounded: readonly Room[];

  constructor(setup: WriterSetup<V>) {
    this.#setup = setup;
    const { sync, async, needed, journal } = setup;
    const lanes = needed < sync.length ? [...sync, ...async] : async;
    this.#bounded = [...lanes, ...(journal ? [journal] : [])].map(({ room }) => room);
  }

  /**
   * Errors: those of the first store; `unavailable` when too few members are there, before anything is
   * written; `unknown-outcome` when the first store has it and too few others do.
   */
  commit(writes: readonly Write<V>[], call: Call): Awaitable<CommitOutcome> {
    const refusal = this.#refusal(call);
    if (refusal !== undefined) throw refusal;
    if (this.#bounded.length === 0) return this.#write(writes, call);
    let bytes = 0;
    for (const write of writes) bytes += this.#setup.bytesOf(write);
    const load = { entries: writes.length, bytes };
    const taken: Room[] = [];
    const giveBack = (): void => {
      for (const room of taken.splice(0)) {
        room.give(load);
        room.admit();
      }
    };
    return attempt(
      () => this.#takeRoom(0, load, call, taken),
      () =>
        attempt(
          () => {
            call.throwIfEnded();
            // Once it is in the queues it takes its room there itself.
            return this.#write(writes, call, giveBack);
          },
          (outcome) => outcome,
          (error) => {
            giveBack();
            throw error;
          },
        ),
      (error) => {
        giveBack();
        throw error;
      },
    );
  }

  /** Calls `told` when the other members were told of it. */
  #write(writes: readonly Write<V>[], call: Call, told?: () => void): Awaitable<CommitOutcome> {
    const { first, atOnce } = this.#setup;
    if (atOnce?.takes(writes) === true)
      return atOnce.write(writes, call, (done, ahead) => {
        told?.();
        return this.#acknowledge(done, call, ahead);
      });
    const commit = (): Awaitable<CommitOutcome> =>
      chain(first.commit(writes, call), (done) => {
        told?.();
        return this.#acknowledge(done, call);
      });
    return atOnce === undefined ? commit() : atOnce.clear(writes, call, commit);
  }

  #takeRoom(at: number, load: Load, call: Call, taken: Room[]): Awaitable<void> {
    const room = this.#bounded[at];
    if (room === undefined) return;
    return chain(room.take(load, call), () => {
      taken.push(room);
      return this.#takeRoom(at + 1, load, call, taken);
    });
  }

  /** What a write would fail with now, without being made. */
  #refusal({ operation, key }: Call): StrataError | undefined {
    const { sync, needed } = this.#setup;
    const causes: MemberCause[] = [];
    for (const { away, member } of sync)
      if (away !== undefined) causes.push({ member: member.name, cause: away });
    const there = sync.length - causes.length;
    if (there >= needed) return undefined;
    return failure(
      'unavailable',
      operation,
      `${causes.map(({ member }) => member).join(', ')} cannot be written to, and nothing was written; ${needed + 1} synchronous stores are needed, and ${there + 1} are there`,
      { key, cause: causes[0]?.cause, details: { causes } },
    );
  }

  #acknowledge(done: Committed<Told<V>>, call: Call, ahead?: AheadWrite): Awaitable<CommitOutcome> {
    const { journal } = this.#setup;
    const { outcome, told } = done;
    if (told === undefined) return outcome;
    if (journal === undefined) return this.#reach(told.sync, outcome, call, ahead);
    const kept = attempt(
      () => journal.keep(told, call.operation),
      () => {},
      (cause) => {
        throw unkept(cause, call);
      },
    );
    const reached = this.#reach(told.sync, outcome, call, ahead);
    if (!(kept instanceof Promise)) return reached;
    call.markSent();
    return Promise.all([reached, kept]).then(() => outcome);
  }

  #reach(
    told: readonly (Waiter | undefined)[],
    outcome: CommitOutcome,
    call: Call,
    ahead: AheadWrite | undefined,
  ): Awaitable<CommitOutcome> {
    const { first, sync, needed } = this.#setup;
    // In another epoch intents say nothing, nor where another write of a key may be the newer one.
    const counts = (): boolean => ahead?.isCrowded === false && ahead.epoch === first.epoch;
    const isHere = (waiter: Waiter | undefined): boolean =>
      waiter === undefined || waiter.state === 'here';
    let here = 0;
    for (const waiter of told) if (isHere(waiter)) here++;
    if (here >= needed) return outcome;
    // Whatever the caller hears from now on, it is written.
    call.markSent();
    const { promise, resolve, reject } = Promise.withResolvers<CommitOutcome>();
    const forget = call.onEnd(reject);
    const over = (): void => {
      forget();
      for (const waiter of told) if (waiter !== undefined) waiter.isLeft = true;
    };
    promise.then(over, over);
    const causes: MemberCause[] = [];
    here = 0;
    for (const [at, lane] of sync.entries())
      attempt(
        () => arrived(told[at], ahead?.intents[at], counts),
        () => {
          if (++here === needed) resolve(outcome);
        },
        (cause) => {
          causes.push({ member: lane.member.name, cause });
          if (sync.length - causes.length < needed) reject(partly(causes, call));
        },
      );
    return promise;
  }
}

/** Settles when the member has the write, under its keys or beside them. Errors: why it has it nowhere. */
function arrived(
  waiter: Waiter | undefined,
  intent: Intent | undefined,
  counts: () => boolean,
): Awaitable<void> {
  const copied = (): Awaitable<void> => reached(waiter);
  if (intent === undefined || waiter === undefined || waiter.state === 'here') return copied();
  return new Promise((resolve, reject) => {
    let failed: { readonly cause: unknown } | undefined;
    let isLeft = false;
    void attempt(copied, resolve, (cause) => {
      failed = { cause };
      if (isLeft) reject(cause);
    });
    void intent.kept.then((isKept) => {
      if (isKept && counts()) return resolve();
      isLeft = true;
      if (failed !== undefined) reject(failed.cause);
    });
  });
}

function unkept(cause: unknown, { operation, key }: Call): StrataError {
  return failure(
    'unknown-outcome',
    operation,
    'the first store has it, and the journal could not take it',
    { key, cause },
  );
}

function partly(causes: readonly MemberCause[], { operation, key }: Call): StrataError {
  const lacking = causes.map(({ member }) => member);
  return failure(
    'unknown-outcome',
    operation,
    `the first store has it, and ${lacking.join(', ')} could not take it; it is brought there later`,
    { key, cause: causes[0]?.cause, details: { lacking, causes } },
  );
}
