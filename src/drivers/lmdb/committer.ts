import type { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { CommitLog } from '../../store/feed/commit-log.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { randomId, readUint48 } from '../../store/version.ts';
import { Fifo } from './fifo.ts';
import { Group, type KeyState, type Member } from './group.ts';
import type { Tip } from './head.ts';
import { KnownKeys } from './known-keys.ts';
import { causeOf, cutOff, storeClosed, toStrataError } from './lmdb-errors.ts';
import { logGroup } from './log-group.ts';
import { type PendingCommit, prepare } from './pending.ts';
import { Planner } from './planner.ts';
import type { Reader } from './reader.ts';
import type { StaleMarks } from './stale-marks.ts';
import { HEAD_KEY } from './tables.ts';
import type { Upkeep, UpkeepJob, UpkeepResult } from './upkeep.ts';

/** A group takes so much, which bounds how long it holds the thread. */
const GROUP_WRITES = 64_000;
const GROUP_BYTES: number = 64 * 1024 * 1024;
/** So much is handed over without waiting for the turn to end: the writer thread works on it while more is prepared. */
const EARLY_WRITES = 2_000;
const EARLY_BYTES: number = 2 * 1024 * 1024;
/** While so much is on its way, further commits wait. */
const WRITES_ON_THE_WAY = 32_000;
const BYTES_ON_THE_WAY: number = 32 * 1024 * 1024;
/** Keys whose last state is kept at hand. */
const KNOWN_KEYS = 128_000;
/** After so many transactions that came too late the next one takes the lock first. */
const PATIENCE = 3;
/** So many commits share a transaction for which the thread waits. */
const COMMITS_WAITED_FOR = 64;

export interface CommitterOptions {
  readonly reader: Reader;
  readonly env: Env;
  readonly log: CommitLog<Uint8Array>;
  readonly marks: StaleMarks;
  /** Called after each transaction that changed something. */
  readonly onCommit: (tip: Tip) => void;
}

/** A group whose transaction has been handed over, and how it ended. */
interface Flight {
  readonly group: Group;
  readonly jobs: readonly UpkeepJob[];
  ended: { readonly applied: boolean } | { readonly error: unknown } | undefined;
}

/**
 * Writes commits in groups, each one conditional transaction of LMDB's own writer thread: it is
 * applied only if the head is still the one the group was planned upon. Groups follow each other
 * without waiting. If another process comes between, none of those on their way is applied, and
 * all their commits are planned anew, in order.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #planner: Planner;
  readonly #known = new KnownKeys(KNOWN_KEYS);
  readonly #queue = new Fifo<PendingCommit>();
  /** What was queued since the queue was last looked at. */
  #newWrites = 0;
  #newBytes = 0;
  #jobs: UpkeepJob[] = [];
  /** Planned in vain; they come before the queue. */
  #requeued: PendingCommit[] = [];
  #flights: Flight[] = [];
  #writesOnTheWay = 0;
  #bytesOnTheWay = 0;
  /** The head after the last group of this process. */
  #tip: Tip | undefined;
  /** A group came too late or failed: nothing is planned until all on their way have ended. */
  #broken = false;
  #scheduled = false;
  #failure: StrataError | undefined;
  #drained: (() => void)[] = [];
  #closed = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#planner = new Planner(options.reader, options.env);
  }

  commit(writes: readonly Write<Uint8Array>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    const { operation } = call;
    this.#checkWritable(operation);
    const prepared = prepare(writes);
    return new Promise((succeed, fail) => {
      this.#queue.push({ ...prepared, operation, call, tries: 0, alone: false, succeed, fail });
      this.#newWrites += prepared.writes.length;
      this.#newBytes += prepared.bytes;
      if (this.#newWrites >= EARLY_WRITES || this.#newBytes >= EARLY_BYTES) this.#pump();
      else this.#schedule();
    });
  }

  /** Commits now, holding the thread; what is on its way and not begun is planned anew. */
  commitNow(operation: string, writes: readonly Write<Uint8Array>[]): CommitOutcome {
    this.#checkWritable(operation);
    let settled: Member['outcome'] | undefined;
    const settle = (outcome: Member['outcome']): void => {
      settled = outcome;
    };
    const prepared = prepare(writes);
    const fail = (error: unknown): void => settle({ error });
    const how = { call: undefined, tries: 0, alone: true, succeed: settle, fail };
    this.#runNow([{ ...prepared, ...how, operation }]);
    if (settled === undefined) throw new Error('the commit was left open');
    if ('error' in settled) throw settled.error;
    return settled;
  }

  /** Adds upkeep to the next transaction. */
  maintain(work: Upkeep): Promise<UpkeepResult> {
    if (this.#closed || this.#failure !== undefined) return Promise.resolve('refused');
    return new Promise((done) => {
      this.#jobs.push({ work, done });
      this.#schedule();
    });
  }

  /** How many places are being made stale by groups on their way. */
  get staleOnTheWay(): number {
    return this.#flights.reduce((sum, { group }) => sum + group.replaced.length, 0);
  }

  /** Takes no more commits, and resolves when none is left; those not begun after the wait fail with `closed`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    for (const job of this.#jobs.splice(0)) job.done('refused');
    if (this.#isIdle()) return;
    const timer = this.#options.env.setTimer(() => this.#giveUp(), timeoutMs);
    await new Promise<void>((resolve) => this.#drained.push(resolve));
    timer.cancel();
  }

  #checkWritable(operation: string): void {
    if (this.#closed) throw storeClosed(operation);
    if (this.#failure === undefined) return;
    const message = `${operation}: an earlier write failed: ${this.#failure.message}`;
    const cause = this.#failure;
    throw new StrataError('unavailable', message, { operation, cause, retryable: false });
  }

  #isIdle(): boolean {
    return this.#flights.length === 0 && this.#queue.length === 0 && this.#requeued.length === 0;
  }

  /** Plans after every promise that is settled by now: what their callers write next joins the group. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Hands over what waits, as far as it may. */
  #pump(): void {
    this.#newWrites = 0;
    this.#newBytes = 0;
    if (this.#failure !== undefined) this.#failAll(this.#failure);
    while (this.#mayBegin()) {
      this.#dropEnded();
      const first = this.#queue.peek();
      if (first === undefined && this.#jobs.length === 0) break;
      if (first !== undefined && (first.alone || first.tries >= PATIENCE)) {
        // It needs a transaction that nobody can come before.
        if (this.#flights.length > 0) break;
        this.#runNow(this.#queue.take(first.alone ? 1 : COMMITS_WAITED_FOR));
      } else this.#begin();
    }
    if (this.#isIdle()) for (const resolve of this.#drained.splice(0)) resolve();
  }

  #mayBegin(): boolean {
    return (
      !this.#broken &&
      this.#failure === undefined &&
      this.#writesOnTheWay < WRITES_ON_THE_WAY &&
      this.#bytesOnTheWay < BYTES_ON_THE_WAY
    );
  }

  #dropEnded(): void {
    while (this.#queue.peek()?.call?.ended !== undefined)
      for (const { fail, call } of this.#queue.take(1)) fail(call?.ended);
  }

  /** Plans a group and hands it over. */
  #begin(): void {
    const { reader } = this.#options;
    const { tables } = reader;
    const jobs: UpkeepJob[] = [];
    let group: Group;
    let done: Promise<boolean>;
    try {
      [group, done] = reader.run('commit', () => {
        const begun = this.#newGroup(this.#findTip());
        const { version } = begun.base;
        return [begun, tables.meta.ifVersion(HEAD_KEY, version, () => this.#fill(begun, jobs))];
      });
    } catch (error) {
      this.#failAll(error);
      return;
    }
    const flight: Flight = { group, jobs, ended: undefined };
    const end = (how: Flight['ended']): void => {
      flight.ended = how;
      this.#land();
    };
    done.then(
      (applied) => end({ applied }),
      async (error: unknown) => end({ error: await causeOf(error) }),
    );
    this.#flights.push(flight);
    this.#writesOnTheWay += group.writes;
    this.#bytesOnTheWay += group.bytes;
  }

  /** The head to plan upon; all that is read then without giving up the thread is of its moment, or later. */
  #findTip(): Tip {
    if (this.#flights.length > 0 && this.#tip !== undefined) return this.#tip;
    const tip = this.#options.reader.tip();
    // Somebody else has committed: what is known may hold no longer.
    if (tip.version !== this.#tip?.version) this.#known.clear();
    this.#tip = tip;
    return tip;
  }

  #newGroup(base: Tip): Group {
    const { env, reader } = this.#options;
    const version = readUint48(env.randomBytes(6), 0) + 1;
    return new Group(reader.tables, base, { id: randomId(env), version, madeMs: reader.nowMs() });
  }

  /** Plans what waits, and gives it to the transaction under way. */
  #fill(group: Group, jobs: UpkeepJob[]): void {
    for (const job of this.#jobs.splice(0)) if (this.#work(job, group)) jobs.push(job);
    while (group.writes < GROUP_WRITES && group.bytes < GROUP_BYTES) {
      const next = this.#queue.peek();
      if (next === undefined || next.alone || next.tries >= PATIENCE) break;
      for (const pending of this.#queue.take(1)) this.#add(pending, group, this.#known);
    }
    this.#finish(group);
  }

  #work({ work, done }: UpkeepJob, group: Group): boolean {
    try {
      if (work(group, this.#known)) return true;
      done('nothing');
    } catch {
      // Damage that stands in the way of upkeep: whoever reads the record is told.
      done('nothing');
    }
    return false;
  }

  #add(pending: PendingCommit, group: Group, known: KnownKeys): void {
    group.writes += pending.writes.length;
    group.bytes += pending.bytes;
    try {
      pending.call?.throwIfEnded();
      group.members.push(this.#planner.plan(pending, group, known));
    } catch (error) {
      const outcome = { error: toStrataError(error, pending.operation, this.#options.reader.path) };
      group.members.push({ pending, outcome, states: [], entries: [] });
    }
  }

  #finish(group: Group): void {
    if (!group.changesAnything) return;
    group.finish();
    this.#tip = group.tip;
  }

  /** Ends the groups whose transactions have ended, in order. */
  #land(): void {
    for (;;) {
      const flight = this.#flights[0];
      if (flight?.ended === undefined) break;
      this.#flights.shift();
      const { group, ended, jobs } = flight;
      this.#writesOnTheWay -= group.writes;
      this.#bytesOnTheWay -= group.bytes;
      const applied = 'applied' in ended && ended.applied;
      for (const { done } of jobs) done(applied ? 'applied' : 'refused');
      if (applied) this.#applied(group);
      else this.#refused(group, 'error' in ended ? ended : undefined);
    }
    if (this.#broken && this.#flights.length === 0) this.#mend();
    if (this.#failure !== undefined) this.#failAll(this.#failure);
    this.#schedule();
  }

  #applied(group: Group): void {
    const { log, marks, onCommit } = this.#options;
    for (const { states } of group.members) for (const state of states) land(state);
    for (const state of group.swept) land(state);
    for (const place of group.replaced) marks.add(place);
    if (group.changesAnything) logGroup(log, group);
    for (const member of group.members) settle(member);
    this.#known.trim();
    if (group.changesAnything) onCommit(group.tip);
  }

  #refused({ members }: Group, failed: { readonly error: unknown } | undefined): void {
    this.#broken = true;
    const failures = failed && members.map(({ pending }) => this.#toFailure(failed.error, pending));
    const [first] = failures ?? [];
    if (failures === undefined) this.#requeue(members, false);
    // One of them may be too large for what is left of the disk, which is no reason to fail the others.
    else if (members.length > 1 && first?.code === 'no-space') this.#requeue(members, true);
    else for (const [at, { pending }] of members.entries()) pending.fail(failures[at]);
  }

  #requeue(members: readonly Member[], alone: boolean): void {
    for (const { pending } of members)
      this.#requeued.push({ ...pending, tries: pending.tries + 1, alone: alone || pending.alone });
  }

  /** Begins anew, upon the tables as they are. */
  #mend(): void {
    this.#queue.putFirst(this.#requeued);
    this.#requeued = [];
    this.#known.clear();
    this.#tip = undefined;
    this.#broken = false;
  }

  /** Runs commits in a transaction that begins by taking the lock. */
  #runNow(pendings: readonly PendingCommit[]): void {
    const { reader } = this.#options;
    let group: Group;
    try {
      group = reader.tables.root.transactionSync(() => {
        const begun = this.#newGroup(reader.tip());
        const known = new KnownKeys(KNOWN_KEYS);
        for (const pending of pendings) this.#add(pending, begun, known);
        this.#finish(begun);
        return begun;
      });
    } catch (error) {
      const failures = pendings.map((pending) => this.#toFailure(error, pending));
      if (failures.length > 1 && failures[0]?.code === 'no-space')
        for (const pending of pendings) this.#runNow([pending]);
      else for (const [at, pending] of pendings.entries()) pending.fail(failures[at]);
      return;
    }
    // What is on its way has come too late, unless it had begun.
    if (this.#flights.length > 0) this.#broken = true;
    else this.#known.clear();
    this.#applied(group);
  }

  /** A transaction that failed: nothing of it is there where the disk was full; else that is not known, and nothing more is written. */
  #toFailure(error: unknown, { operation }: PendingCommit): StrataError {
    const failure = toStrataError(error, operation, this.#options.reader.path);
    if (failure.code === 'no-space' || failure.code === 'closed') return failure;
    this.#failure ??= failure;
    return new StrataError('unknown-outcome', failure.message, { operation, cause: error });
  }

  #failAll(error: unknown): void {
    const { path } = this.#options.reader;
    for (const { operation, fail } of this.#queue.take(this.#queue.length))
      fail(toStrataError(error, operation, path));
    for (const { done } of this.#jobs.splice(0)) done('refused');
  }

  #giveUp(): void {
    this.#queue.putFirst(this.#requeued.splice(0));
    for (const { operation, fail } of this.#queue.take(this.#queue.length))
      fail(storeClosed(operation));
    for (const { group } of this.#flights)
      for (const { pending } of group.members) pending.fail(cutOff(pending.operation));
    this.#failure ??= storeClosed('close');
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}

function land(state: KeyState): void {
  state.landed = true;
  state.head = undefined;
  state.value = undefined;
}

function settle({ pending, outcome }: Member): void {
  if ('error' in outcome) pending.fail(outcome.error);
  else pending.succeed(outcome);
}
