import type { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { CommitLog } from '../../store/feed/commit-log.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { randomId, readUint48 } from '../../store/version.ts';
import { Fifo } from './fifo.ts';
import { Group, type Member, ownWrites } from './group.ts';
import type { Tip } from './head.ts';
import { causeOf, toStrataError } from './lmdb-errors.ts';
import { logGroup } from './log-group.ts';
import type { PendingCommit } from './pending.ts';
import { type Overlay, Planner } from './planner.ts';
import type { Reader } from './reader.ts';
import type { StaleMarks } from './stale-marks.ts';
import { HEAD_KEY } from './tables.ts';

/** A group is handed over when it has so much, or when the thread has nothing else to do. */
const GROUP_WRITES = 1_000;
const GROUP_BYTES: number = 1024 * 1024;
/** While so much is handed over and not acknowledged, further commits wait. */
const MAX_WRITES_IN_FLIGHT = 64_000;
const MAX_BYTES_IN_FLIGHT: number = 64 * 1024 * 1024;
/** After so many transactions that came too late the next one takes the lock first. */
const PATIENCE = 3;
/** So many commits share a transaction for which the thread waits. */
const MAX_COMMITS_WAITED_FOR = 64;

export interface CommitterOptions {
  readonly reader: Reader;
  readonly env: Env;
  readonly log: CommitLog<Uint8Array>;
  readonly marks: StaleMarks;
  /** Called after each transaction that changed something. */
  readonly onCommit: (tip: Tip) => void;
}

/** Adds upkeep to a group, thinking of what the overlay says is under way; false where there is nothing to do. */
export type Upkeeping = (group: Group, overlay: Overlay) => boolean;

/** How a group's transaction ended: applied, too late, or with an error. */
type Verdict = { readonly applied: boolean } | { readonly error: unknown };

/**
 * Writes commits, in groups, by LMDB's own writer thread. Each commit is planned at once, upon the
 * tables and the plans before it; its group is one conditional transaction: it is applied only if
 * the head is still that of the group before. If another process came between, none of the groups
 * on their way is applied, and all their commits are planned anew, in order.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #planner: Planner;
  /** Handed over, in order. */
  #inFlight: { readonly group: Group; verdict?: Verdict }[] = [];
  #writesInFlight = 0;
  #bytesInFlight = 0;
  /** Planned, and still taking commits. */
  #open: Group | undefined;
  #overlay: Overlay = new Map();
  /** The head after the last group; unknown while there is none on its way. */
  #tip: Tip | undefined;
  /** Not planned yet. */
  readonly #queue = new Fifo<PendingCommit>();
  /** Planned in vain; they come before the queue. */
  #requeued: PendingCommit[] = [];
  #pumping = false;
  /** A group came too late or failed: nothing is planned until all on their way have ended. */
  #broken = false;
  #flushing = false;
  #failure: StrataError | undefined;
  #drained: (() => void) | undefined;
  #closed = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#planner = new Planner(options.reader, options.env);
  }

  commit(writes: readonly Write<Uint8Array>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    const { operation } = call;
    this.#checkWritable(operation);
    return new Promise((succeed, fail) => {
      const pending = { operation, writes, call, tries: 0, alone: false, succeed, fail };
      if (this.#queue.length === 0 && this.#mayPlan()) this.#admit(pending);
      else this.#queue.push({ ...pending, writes: ownWrites(writes) });
    });
  }

  /** Commits now, holding the thread; what is on its way and not begun is planned anew. */
  commitNow(operation: string, writes: readonly Write<Uint8Array>[]): CommitOutcome {
    this.#checkWritable(operation);
    let settled: Member['outcome'] | undefined;
    const pending: PendingCommit = {
      operation,
      writes,
      tries: 0,
      alone: true,
      succeed: (outcome) => {
        settled = outcome;
      },
      fail: (error) => {
        settled = { error };
      },
    };
    this.#runNow([pending]);
    if (this.#open !== undefined || this.#inFlight.length > 0) this.#break();
    if (settled === undefined) throw new Error('the commit was left open');
    if ('error' in settled) throw settled.error;
    return settled;
  }

  /** Adds upkeep to the next transaction. */
  async maintain(work: Upkeeping): Promise<'applied' | 'refused' | 'nothing'> {
    if (this.#closed || this.#failure !== undefined || !this.#mayPlan()) return 'refused';
    const group = this.#openGroup();
    if (!work(group, this.#overlay)) return 'nothing';
    return new Promise((resolve) => {
      group.listeners.push((applied) => resolve(applied ? 'applied' : 'refused'));
    });
  }

  /** How many places are being made stale by groups on their way. */
  get staleOnTheWay(): number {
    return this.#inFlight.reduce((sum, { group }) => sum + group.replaced.length, 0);
  }

  /** Resolves when nothing is on its way. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => {
      const former = this.#drained;
      this.#drained = () => {
        former?.();
        resolve();
      };
    });
  }

  /** Takes no more commits; what is not handed over after the wait fails with `closed`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    if (this.#isIdle()) return;
    const timer = this.#options.env.setTimer(() => this.#giveUp(), timeoutMs);
    await this.idle();
    timer.cancel();
  }

  #checkWritable(operation: string): void {
    if (this.#closed) throw closed(operation);
    if (this.#failure !== undefined)
      throw new StrataError('unavailable', `${operation}: ${this.#failure.message}`, {
        operation,
        cause: this.#failure,
        retryable: false,
      });
  }

  #isIdle(): boolean {
    return this.#inFlight.length === 0 && this.#open === undefined && this.#queue.length === 0;
  }

  #mayPlan(): boolean {
    return (
      !this.#broken &&
      this.#writesInFlight < MAX_WRITES_IN_FLIGHT &&
      this.#bytesInFlight < MAX_BYTES_IN_FLIGHT
    );
  }

  /** The group that takes commits, upon the last head; all reads that follow are of one moment. */
  #openGroup(): Group {
    const { reader } = this.#options;
    reader.renew();
    if (this.#open !== undefined) return this.#open;
    if (this.#inFlight.length === 0) this.#tip = undefined;
    this.#tip ??= reader.tip();
    this.#open = new Group(this.#tip);
    if (!this.#flushing) {
      this.#flushing = true;
      // After every promise that is settled by now: what their callers write next joins the group.
      process.nextTick(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    return this.#open;
  }

  #admit(pending: PendingCommit): void {
    let group: Group;
    try {
      group = this.#openGroup();
    } catch (error) {
      pending.fail(toStrataError(error, pending.operation, this.#options.reader.path));
      return;
    }
    group.members.push(this.#planMember(pending, group, this.#overlay));
    group.writes += pending.writes.length;
    if (group.writes >= GROUP_WRITES || group.bytes >= GROUP_BYTES) this.#flush();
  }

  #planMember(pending: PendingCommit, group: Group, overlay: Overlay): Member {
    try {
      const { outcome, changes } = this.#planner.plan(pending, group, overlay);
      // Each write that is to be planned anew must find its value, whatever the caller does to it.
      if (changes.length === pending.writes.length) return { pending, outcome, changes };
      return {
        pending: { ...pending, writes: ownWrites(pending.writes, changes) },
        outcome,
        changes,
      };
    } catch (error) {
      const outcome = { error: toStrataError(error, pending.operation, this.#options.reader.path) };
      const writes = ownWrites(pending.writes);
      return { pending: { ...pending, writes }, outcome, changes: [] };
    }
  }

  /** Hands the open group over. */
  #flush(): void {
    const group = this.#open;
    if (group === undefined || this.#broken) return;
    if (group.members.some(({ pending }) => pending.call?.ended !== undefined)) {
      // Given up in time: the group is planned anew without them.
      this.#break();
      return;
    }
    this.#open = undefined;
    if (!group.changesAnything) {
      this.#settleUnchanged(group);
      return;
    }
    const { env, reader } = this.#options;
    this.#seal(group);
    this.#tip = group.tip;
    for (const { pending } of group.members) pending.call?.markSent();
    const flight: { readonly group: Group; verdict?: Verdict } = { group };
    this.#inFlight.push(flight);
    this.#writesInFlight += group.writes;
    this.#bytesInFlight += group.bytes;
    const { tables } = reader;
    const nowMs = Math.floor(env.now());
    const end = (verdict: Verdict): void => {
      flight.verdict = verdict;
      this.#land();
    };
    tables.meta
      .ifVersion(HEAD_KEY, group.base.version, () => group.write(tables, nowMs))
      .then(
        (applied) => end({ applied }),
        async (error: unknown) => end({ error: await causeOf(error) }),
      );
  }

  #seal(group: Group): void {
    const { env } = this.#options;
    group.seal(randomId(env), readUint48(env.randomBytes(6), 0) + 1);
  }

  /** What was found to change nothing is so only once the groups are applied upon which it was found. */
  #settleUnchanged(group: Group): void {
    for (const listener of group.listeners) listener(true);
    const last = this.#inFlight.at(-1)?.group;
    if (last !== undefined) {
      last.members.push(...group.members);
      return;
    }
    for (const member of group.members) settle(member);
    this.#pump();
  }

  /** Ends the groups whose transactions have ended, in order. */
  #land(): void {
    for (;;) {
      const flight = this.#inFlight[0];
      if (flight?.verdict === undefined) break;
      this.#inFlight.shift();
      const { group, verdict } = flight;
      this.#writesInFlight -= group.writes;
      this.#bytesInFlight -= group.bytes;
      if ('applied' in verdict && verdict.applied) this.#applied(group);
      else this.#refused(group, 'error' in verdict ? verdict.error : undefined);
    }
    if (this.#broken && this.#inFlight.length === 0) this.#mend();
    this.#pump();
  }

  #applied(group: Group): void {
    const { log, marks, onCommit } = this.#options;
    const overlay = this.#overlay;
    for (const change of group.changes())
      if (overlay.get(change.key) === change) overlay.delete(change.key);
    for (const change of group.swept)
      if (overlay.get(change.key) === change) overlay.delete(change.key);
    for (const place of group.replaced) marks.add(place);
    logGroup(log, group);
    for (const member of group.members) settle(member);
    for (const listener of group.listeners) listener(true);
    onCommit(group.tip);
  }

  #refused(group: Group, error: unknown): void {
    this.#broken = true;
    for (const listener of group.listeners) listener(false);
    if (error === undefined) return this.#requeue(group.members, false);
    const failures = group.members.map(({ pending }) => this.#writeFailure(error, pending));
    // One of them may be too large for what is left of the disk, which is no reason to fail the others.
    if (failures.length > 1 && failures[0]?.code === 'no-space')
      return this.#requeue(group.members, true);
    for (const [at, { pending }] of group.members.entries()) pending.fail(failures[at]);
  }

  #requeue(members: readonly Member[], alone: boolean): void {
    for (const { pending, changes } of members) {
      const writes = changes.length > 0 ? ownWrites(pending.writes, changes) : pending.writes;
      const tries = pending.tries + 1;
      this.#requeued.push({ ...pending, writes, tries, alone: alone || pending.alone });
    }
  }

  /** Stops planning until all that is on its way has ended. */
  #break(): void {
    this.#broken = true;
    if (this.#inFlight.length > 0) return;
    this.#mend();
    this.#pump();
  }

  /** Begins anew, upon the tables as they are. */
  #mend(): void {
    const open = this.#open;
    this.#open = undefined;
    for (const listener of open?.listeners ?? []) listener(false);
    if (open !== undefined) this.#requeue(open.members, false);
    this.#queue.putFirst(this.#requeued);
    this.#requeued = [];
    this.#overlay.clear();
    this.#tip = undefined;
    this.#broken = false;
  }

  /** Plans what waits, as far as it may. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#mayPlan() && this.#pumpOne());
    this.#pumping = false;
    if (!this.#isIdle()) return;
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.();
  }

  /** Plans the next commit that waits; false when there is none, or it must wait. */
  #pumpOne(): boolean {
    const next = this.#queue.peek();
    if (next === undefined) return false;
    if (next.call?.ended === undefined && (next.alone || next.tries >= PATIENCE)) {
      // It needs a transaction that nobody can come before.
      if (this.#open !== undefined || this.#inFlight.length > 0) return false;
      this.#runNow(this.#queue.take(next.alone ? 1 : MAX_COMMITS_WAITED_FOR));
      return true;
    }
    for (const pending of this.#queue.take(1)) {
      if (pending.call?.ended !== undefined) pending.fail(pending.call.ended);
      else this.#admit(pending);
    }
    return true;
  }

  /** Runs commits in a transaction that begins by taking the lock. */
  #runNow(pendings: readonly PendingCommit[]): void {
    const { reader, env } = this.#options;
    const { tables } = reader;
    let group: Group | undefined;
    for (const { call } of pendings) call?.markSent();
    try {
      group = tables.root.transactionSync(() => {
        const begun = new Group(reader.tip());
        const overlay: Overlay = new Map();
        for (const pending of pendings)
          begun.members.push(this.#planMember(pending, begun, overlay));
        if (!begun.changesAnything) return begun;
        this.#seal(begun);
        begun.write(tables, Math.floor(env.now()));
        return begun;
      });
    } catch (error) {
      const failures = pendings.map((pending) => this.#writeFailure(error, pending));
      if (failures.length > 1 && failures[0]?.code === 'no-space')
        for (const pending of pendings) this.#runNow([pending]);
      else for (const [at, pending] of pendings.entries()) pending.fail(failures[at]);
      return;
    }
    if (group.changesAnything) this.#applied(group);
    else for (const member of group.members) settle(member);
  }

  /** A transaction that failed: nothing of it is there where the disk was full; else that is not known, and nothing more is written. */
  #writeFailure(error: unknown, { operation }: PendingCommit): StrataError {
    const failure = toStrataError(error, operation, this.#options.reader.path);
    if (failure.code === 'no-space' || failure.code === 'closed') return failure;
    this.#failure ??= failure;
    return new StrataError('unknown-outcome', failure.message, { operation, cause: error });
  }

  #giveUp(): void {
    const pendings = this.#queue.take(this.#queue.length);
    for (const { operation, fail } of pendings) fail(closed(operation));
    for (const { group } of this.#inFlight)
      for (const { pending } of group.members)
        pending.fail(
          new StrataError(
            'unknown-outcome',
            `${pending.operation}: the store was closed while the write was under way`,
            { operation: pending.operation },
          ),
        );
    this.#drained?.();
  }
}

function settle({ pending, outcome }: Member): void {
  if ('error' in outcome) pending.fail(outcome.error);
  else pending.succeed(outcome);
}

function closed(operation: string): StrataError {
  return new StrataError('closed', `${operation}: the store is closed`, { operation });
}
