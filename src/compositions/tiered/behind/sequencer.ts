import { attempt } from '../../../kernel/awaitable.ts';
import type { JournalRecord, JournalWrite } from '../../../kernel/journal/journal.ts';
import { Call } from '../../../store/call.ts';
import { isStrataError, type StrataError } from '../../../store/errors.ts';
import { changeBytes } from '../../../store/feed/commit-log.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import { type Met, PlannedCommit } from './planned-commit.ts';
import { Lines } from './sequencer-lines.ts';
import type { SequencerSetup } from './sequencer-setup.ts';
import { type KeyLook, needsOf } from './views.ts';
import { Group, notKept, overloaded, tooMuch, Waiting } from './waiting-commits.ts';

/** Most commits that the journal is given at once. */
const MAX_GROUP = 512;
/** Most bytes, by estimate; a single commit may have more. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024;

/**
 * Brings commits into one order. What each commit sees is looked up while others go on; it is then
 * decided against that in its turn, and the journal gets everything decided as one append, one at a
 * time. Only what the journal has is pending and acknowledged.
 */
export class Sequencer<V> {
  readonly #setup: SequencerSetup<V>;
  readonly #queue = new Lines<Waiting<V>>();
  /** What the journal does; one thing at a time. */
  #atWork: 'append' | 'drop' | undefined;
  #idling: PromiseWithResolvers<void> | undefined;
  /** What the journal has been given and has not answered. */
  #appending: Group<V> | undefined;
  #draining = false;
  #asksForRoom = true;
  /** Commits of the store's own that wait; they go first. */
  #records = 0;
  /** What it fails with that is not to be kept any more. */
  #refusal: ((call: Call) => StrataError) | undefined;

  constructor(setup: SequencerSetup<V>) {
    this.#setup = setup;
  }

  /** Whether the journal is at work, or commits wait for it. */
  get isBusy(): boolean {
    return this.#atWork !== undefined || this.#queue.size > 0;
  }

  async commit(writes: readonly Write<V>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    if (this.#refusal !== undefined) throw this.#refusal(call);
    const waiting = this.#enqueue(writes, call);
    this.#drain();
    return waiting.done.promise;
  }

  /** Decides and keeps a commit at once. Errors: `overloaded` where it would have to wait. */
  commitNow(
    writes: readonly Write<V>[],
    operation: string,
    meet: (key: string) => Met<V>,
  ): CommitOutcome {
    const { pending, journal } = this.#setup;
    const { blocking } = journal;
    if (blocking === undefined || this.#atWork === 'append')
      throw overloaded(operation, 'other writes are on their way to the journal');
    const fresh = new Set(writes.map(({ key }) => key).filter((key) => !pending.get(key)));
    if (this.#overflows(pending.size === 0 ? 0 : fresh.size, 0)) {
      this.#setup.onFull();
      throw tooMuch(operation, pending);
    }
    const known = (key: string): Met<V> => this.#pendingAs(key) ?? meet(key);
    const commit = this.#plan(operation, writes, known);
    if (commit.isEmpty) return commit.outcome(undefined, () => undefined);
    const drop = pending.takeSpent();
    let record: JournalRecord<V> | undefined;
    try {
      [record] = blocking.append([commit.writes], drop, operation);
    } catch (error) {
      pending.giveBack(drop);
      throw notKept(operation, error);
    }
    pending.forget(drop);
    const { seq } = record as JournalRecord<V>;
    this.#setup.onAppended(record as JournalRecord<V>);
    return commit.outcome(seq, () => seq);
  }

  /** Something has reached the back, or left the journal. */
  wake(): void {
    this.#drain();
  }

  /** Lets the journal forget what it need not keep, unless that goes with the next append; false when it does not. */
  async forgetSpent(): Promise<boolean> {
    const { pending, journal, env } = this.#setup;
    if (this.#atWork !== undefined || !pending.hasSpent) return true;
    const spent = pending.takeSpent();
    this.#atWork = 'drop';
    let forgot = true;
    try {
      await journal.drop(spent, Call.background(env, 'flush'));
      pending.forget(spent);
    } catch {
      // It stays until the next append takes it along. The journal tells what it cannot recover from.
      pending.giveBack(spent);
      forgot = false;
    }
    this.#rest();
    // What waits for room is not to ask for it again and again.
    this.#asksForRoom = forgot;
    this.#drain();
    this.#asksForRoom = true;
    return forgot;
  }

  /**
   * Keeps a commit of the store's own, past the queue and its bounds; `decide` gives its writes in
   * the moment in which nothing else can come in between, or nothing.
   */
  async record(
    decide: () => readonly JournalWrite<V>[] | undefined,
    done: (record: JournalRecord<V> | undefined) => void,
  ): Promise<void> {
    const { journal, env, pending } = this.#setup;
    this.#records++;
    while (this.#atWork !== undefined) await this.#untilIdle();
    this.#records--;
    this.#atWork = 'append';
    try {
      const writes = decide();
      if (writes === undefined) {
        done(undefined);
        return;
      }
      const drop = pending.takeSpent();
      let records: readonly JournalRecord<V>[];
      try {
        records = await journal.append([writes], drop, Call.background(env, 'flush'));
      } catch (error) {
        pending.giveBack(drop);
        throw error;
      }
      pending.forget(drop);
      done(records[0]);
    } finally {
      this.#rest();
      this.#drain();
    }
  }

  #untilIdle(): Promise<void> {
    this.#idling ??= Promise.withResolvers();
    return this.#idling.promise;
  }

  #rest(): void {
    this.#atWork = undefined;
    this.#appending = undefined;
    this.#idling?.resolve();
    this.#idling = undefined;
  }

  /** Takes no more; what waits fails. */
  refuse(refusal: (call: Call) => StrataError): void {
    this.#refusal ??= refusal;
    for (const waiting of this.#queue.all()) this.#fail(waiting, refusal(waiting.call));
  }

  /** Nobody waits any longer for what the journal was given and does not answer. */
  end(): void {
    for (const { waiting } of this.#appending?.all ?? []) waiting.call.end('closed');
  }

  #enqueue(writes: readonly Write<V>[], call: Call): Waiting<V> {
    const looks = new Map<string, KeyLook<V>>();
    for (const [key, needs] of needsOf(writes, this.#setup.tracksBase))
      looks.set(key, this.#setup.views.open(key, needs));
    let bytes = 0;
    for (const write of writes)
      bytes += changeBytes(write.key, write.type === 'set' ? write.value : undefined);
    const waiting = new Waiting<V>(writes, call, looks, bytes);
    waiting.ticket = this.#queue.enter(waiting, looks.keys());
    waiting.forget = call.onEnd((error) => this.#fail(waiting, error));
    return waiting;
  }

  /** Takes it out of the queue; false where it is not there. */
  #leave(waiting: Waiting<V>): boolean {
    if (!this.#queue.leave(waiting.ticket)) return false;
    for (const look of waiting.looks.values()) this.#setup.views.leave(look);
    return true;
  }

  #fail(waiting: Waiting<V>, error: unknown): void {
    const wasWaiting = this.#leave(waiting);
    waiting.forget();
    waiting.done.reject(error);
    // Whoever waited behind it may go on.
    if (wasWaiting) this.#drainSoon();
  }

  /** Once for all that happens at the same moment. */
  #drainSoon(): void {
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => {
      this.#draining = false;
      this.#drain();
    });
  }

  get #mayAppend(): boolean {
    return this.#atWork === undefined && this.#records === 0 && this.#refusal === undefined;
  }

  /** Decides what can be decided and hands it to the journal. */
  #drain(): void {
    while (this.#mayAppend && this.#queue.size > 0) {
      const group = this.#gather();
      if (group.members.length === 0) return;
      this.#append(group);
    }
  }

  /** Decides commits in the order in which they came, those being looked up left out, and those behind them. */
  #gather(): Group<V> {
    const group = new Group<V>();
    while (group.members.length < MAX_GROUP && group.bytes < MAX_GROUP_BYTES) {
      const waiting = this.#queue.due;
      if (waiting === undefined) break;
      if (waiting.alone && group.members.length > 0) break;
      if (!this.#isReady(waiting, group)) continue;
      if (this.#isFull(waiting, group)) {
        if (this.#setup.blocks) break;
        const { operation, key } = waiting.call;
        this.#fail(waiting, tooMuch(operation, this.#setup.pending, key));
        continue;
      }
      this.#decide(waiting, group);
      if (waiting.alone && group.members.length > 0) break;
    }
    return group;
  }

  /** Whether everything that the commit needs to see is known; else it is looked up, and held meanwhile. */
  #isReady(waiting: Waiting<V>, { left }: Group<V>): boolean {
    const { pending, views } = this.#setup;
    const unseen = [...waiting.looks.values()].filter(
      (look) => !left.has(look.key) && pending.get(look.key) === undefined && !views.isGood(look),
    );
    if (unseen.length === 0) return true;
    const reading = views.read(unseen, waiting.call);
    if (!(reading instanceof Promise)) return true;
    this.#queue.hold(waiting.ticket);
    void reading.then(() => {
      this.#queue.release(waiting.ticket);
      this.#drainSoon();
    });
    return false;
  }

  #isFull(waiting: Waiting<V>, group: Group<V>): boolean {
    const newKeys = group.newKeys + this.#newKeys(waiting, group);
    // Where there is nothing yet, a single commit may be as large as it likes.
    const first = this.#setup.pending.size === 0 && group.members.length === 0;
    const full = this.#overflows(first ? 0 : newKeys, group.bytes);
    if (full && this.#asksForRoom) this.#setup.onFull();
    return full;
  }

  #newKeys({ looks }: Waiting<V>, { left }: Group<V>): number {
    let count = 0;
    for (const key of looks.keys())
      if (!left.has(key) && this.#setup.pending.get(key) === undefined) count++;
    return count;
  }

  /** Whether so much more would be too much. */
  #overflows(newKeys: number, newBytes: number): boolean {
    const { pending, maxKeys, maxBytes } = this.#setup;
    if (pending.bytes + newBytes >= maxBytes) return true;
    return newKeys > 0 && pending.size + newKeys > maxKeys;
  }

  #decide(waiting: Waiting<V>, group: Group<V>): void {
    const meet = (key: string): Met<V> => {
      const known = group.left.get(key) ?? this.#pendingAs(key);
      if (known !== undefined) return known;
      const { view } = waiting.looks.get(key) as KeyLook<V>;
      return view ?? { entry: undefined, base: undefined };
    };
    let commit: PlannedCommit<V>;
    try {
      commit = this.#plan(waiting.call.operation, waiting.writes, meet);
    } catch (error) {
      // What it met may still come to nothing.
      if ([...waiting.looks.keys()].some((key) => group.left.has(key))) {
        this.#leave(waiting);
        group.failed.push({ waiting, error });
      } else this.#fail(waiting, error);
      return;
    }
    if (commit.isEmpty) {
      this.#leave(waiting);
      if (group.members.length > 0) group.idle.push({ waiting, commit });
      else
        this.#finish(
          waiting,
          commit.outcome(undefined, () => undefined),
        );
      return;
    }
    group.newKeys += this.#newKeys(waiting, group);
    group.bytes += waiting.bytes;
    for (const [key, met] of commit.left()) group.left.set(key, met);
    group.members.push({ waiting, commit });
    this.#leave(waiting);
  }

  #plan(
    operation: string,
    writes: readonly Write<V>[],
    meet: (key: string) => Met<V>,
  ): PlannedCommit<V> {
    const { env, ids, tracksBase, pending } = this.#setup;
    const isHeld = (key: string): boolean => pending.isHeld(key);
    return PlannedCommit.plan({
      ...{ operation, writes, nowMs: env.now(), ids, tracksBase, meet, isHeld },
    });
  }

  #pendingAs(key: string): Met<V> | undefined {
    const write = this.#setup.pending.get(key);
    return write && { entry: write.entry, base: write.base, deleted: write.entry === undefined };
  }

  #append(group: Group<V>): void {
    const { journal, pending, env } = this.#setup;
    for (const { waiting } of group.members) waiting.call.markSent();
    const drop = pending.takeSpent();
    this.#atWork = 'append';
    this.#appending = group;
    const commits = group.members.map(({ commit }) => commit.writes);
    const operation = group.members[0]?.waiting.call.operation ?? 'batch';
    const settled = attempt(
      () => journal.append(commits, drop, Call.background(env, operation)),
      (records) => {
        this.#rest();
        pending.forget(drop);
        this.#acknowledge(group, records);
      },
      (error) => {
        this.#rest();
        pending.giveBack(drop);
        this.#notAppended(group, error);
      },
    );
    if (settled instanceof Promise) void settled.then(() => this.#drain());
  }

  #acknowledge(group: Group<V>, records: readonly JournalRecord<V>[]): void {
    const revs = new Map<string, number>();
    group.members.forEach(({ commit }, i) => {
      const record = records[i] as JournalRecord<V>;
      for (const { version } of commit.writes) revs.set(version, record.seq);
      this.#setup.onAppended(record);
    });
    const revOf = (version: string): number | undefined => revs.get(version);
    group.members.forEach(({ waiting, commit }, i) => {
      this.#finish(waiting, commit.outcome(records[i]?.seq, revOf));
    });
    for (const { waiting, commit } of group.idle)
      this.#finish(waiting, commit.outcome(undefined, revOf));
    for (const { waiting, error } of group.failed) this.#fail(waiting, error);
  }

  #notAppended(group: Group<V>, error: unknown): void {
    const all = group.all.map(({ waiting }) => waiting);
    if (!isStrataError(error, 'invalid-argument') || all.length === 1) {
      for (const waiting of all) this.#fail(waiting, notKept(waiting.call.operation, error));
      return;
    }
    // One of them has a value that the journal does not take: each is tried by itself.
    for (const waiting of all) {
      for (const look of waiting.looks.values()) this.#setup.views.enter(look);
      waiting.alone = true;
    }
    this.#queue.enterAgain(all.map(({ ticket }) => ticket));
  }

  #finish(waiting: Waiting<V>, outcome: CommitOutcome): void {
    waiting.forget();
    waiting.done.resolve(outcome);
  }
}
