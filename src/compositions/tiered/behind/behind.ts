import type { Journal, JournalRecord } from '../../../kernel/journal/journal.ts';
import { Call } from '../../../store/call.ts';
import type { Durability } from '../../../store/capabilities.ts';
import type { Entry } from '../../../store/entry.ts';
import type { Env, Timer } from '../../../store/env.ts';
import { StrataError } from '../../../store/errors.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import { WriteIds } from '../../../store/version.ts';
import type { DeadLetter, Pending, TieredEvent } from '../events.ts';
import { BackWins, type ConflictPolicy } from './back-wins.ts';
import { afterCrash, type Base } from './base.ts';
import type { BehindFeed } from './behind-feed.ts';
import type { FlushRules } from './flush-plan.ts';
import { Flusher } from './flusher.ts';
import { entryOf, type PendingWrite, PendingWrites, pendingOf } from './pending-writes.ts';
import { baseFor, type Due, dueOf, lastRun, notOpened, pastOf, positionOf } from './recovery.ts';
import { Sequencer } from './sequencer.ts';
import { fromBack, isOwn } from './stamps.ts';
import { type ViewSource, Views } from './views.ts';
import { journalLost } from './waiting-commits.ts';

/** What the journal need not keep any longer is dropped with the next append, or after so long. */
const IDLE_MS = 200;

export interface BehindSetup<V> {
  readonly env: Env;
  readonly journal: Journal<V>;
  readonly feed: BehindFeed<V>;
  readonly beneath: Pick<ViewSource<V>, 'copies' | 'entries' | 'fresh'>;
  readonly onConflict: ConflictPolicy<V>;
  readonly maxKeys: number;
  readonly maxBytes: number;
  readonly blocks: boolean;
  readonly retry: { readonly minMs: number; readonly maxMs: number };
  readonly timeoutMs: number;
  readonly usualMs: number;
  /** Whether the back takes batches whole, and on condition. */
  readonly fenced: boolean;
  readonly conditional: boolean;
  readonly fenceValue: V;
  commit(writes: readonly Write<V>[], call: Call): Promise<CommitOutcome>;
  look(keys: readonly string[], call: Call): Promise<readonly (Entry<V> | undefined)[]>;
  /** The front's copy of a key is not what the back holds. */
  uncopy(keys: readonly string[]): void;
  /** An entry for the application, past the facade that would copy it. */
  give(entry: Entry<V>): Entry<V>;
  /** A value of the application's, likewise. */
  own(value: V): V;
  onEvent(event: TieredEvent): void;
}

/** The writes of a store that are acknowledged before the back has them: their order, their keeping and their way to the back. */
export class Behind<V> {
  readonly pending: PendingWrites<V> = new PendingWrites();
  readonly views: Views<V>;
  readonly #setup: BehindSetup<V>;
  readonly #ids: WriteIds;
  #sequencer: Sequencer<V> | undefined;
  #flusher: Flusher<V> | undefined;
  #opening: Promise<void> | undefined;
  /** What the journal is opened for: its end ends the opening. */
  #opener: Call | undefined;
  #idle: Timer | undefined;
  #lost: StrataError | undefined;
  #closed = false;

  constructor(setup: BehindSetup<V>) {
    this.#setup = setup;
    this.#ids = new WriteIds(setup.env);
    this.views = new Views<V>({
      ...setup.beneath,
      shown: (entry) => this.shown(entry),
      isOwn: (entry) => isOwn(entry, setup.journal.storeId),
    });
  }

  get isOpen(): boolean {
    return this.#sequencer !== undefined;
  }

  get isBlocking(): boolean {
    return this.#setup.journal.blocking !== undefined;
  }

  get durability(): Durability {
    return this.#setup.journal.durability;
  }

  /** Whether the versions of the back matter. */
  get tracksBase(): boolean {
    return this.#setup.onConflict !== 'overwrite';
  }

  /** The part that takes commits. Errors: `unavailable` while the journal is not open. */
  sequencer(operation: string): Sequencer<V> {
    if (this.#sequencer !== undefined) return this.#sequencer;
    throw new StrataError(
      'unavailable',
      `${operation}: the journal is not open yet; await any call of the store first`,
      { operation },
    );
  }

  /** Opens the journal and takes over what is in it; one that fails is tried again by the next call. */
  opened(call: Call): Promise<void> {
    if (this.#closed && this.#opening === undefined) return Promise.reject(closedCall(call));
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return call.untilEnd(this.#opening).catch((error: unknown) => {
      throw error === call.ended ? error : notOpened(call, error);
    });
  }

  /** An entry of the back as this store shows it. */
  shown(entry: Entry<V>): Entry<V> {
    return fromBack(entry, this.#setup.journal.storeId);
  }

  /** What a key shows because of a pending write: an entry, or that there is none. */
  live(write: PendingWrite<V>): Entry<V> | undefined {
    const { entry } = write;
    if (entry === undefined) return undefined;
    const { expiresAt } = entry;
    return expiresAt !== undefined && expiresAt <= this.#setup.env.now() ? undefined : entry;
  }

  /** How much is pending. */
  status(): Pending {
    const { env, journal } = this.#setup;
    const { size, bytes, oldest } = this.pending;
    return {
      keys: size,
      bytes,
      ...(oldest !== undefined && { oldestMs: Math.max(0, env.monotonicMs() - oldest.sinceMs) }),
      deadLetters: journal.deadLetterCount,
    };
  }

  /** Waits until what is pending now is in the back, or the call ends. */
  async flush(call: Call): Promise<void> {
    await this.opened(call);
    await this.#flushUpTo(this.#setup.journal.lastSeq, call);
  }

  async #flushUpTo(seq: number, call: Call): Promise<void> {
    const flush = this.#flusher?.flush(seq);
    if (flush === undefined) return;
    try {
      await call.untilEnd(flush.done);
    } finally {
      flush.cancel();
    }
  }

  async deadLetters(call: Call): Promise<readonly DeadLetter<V>[]> {
    await this.opened(call);
    const letters = await this.#setup.journal.deadLetters(call);
    return letters.map(({ id, write, cause, at }) => {
      const { type, key } = write;
      const value = type === 'set' ? { value: this.#setup.give(entryOf(write, 0)).value } : {};
      return { id, type, key, ...value, cause, at };
    });
  }

  async forgetDeadLetters(ids: readonly string[], call: Call): Promise<void> {
    await this.opened(call);
    await this.#setup.journal.forgetDeadLetters(ids, call);
  }

  /** The back answers again. */
  hurry(): void {
    this.#flusher?.hurry();
  }

  /** A commit without writes, where there is none yet. */
  async mark(call: Call): Promise<void> {
    const marked = this.sequencer(call.operation).record(
      () => (this.#setup.journal.lastSeq > 0 ? undefined : []),
      (record) => record && this.#took(record),
    );
    await call.untilEnd(marked);
  }

  /** No more commits are taken. */
  refuse(): void {
    this.#closed = true;
    this.#sequencer?.refuse(closedCall);
  }

  /** Flushes for so long, then leaves the rest in the journal. */
  async close(drainMs: number, patienceMs: number): Promise<void> {
    const { env, journal } = this.#setup;
    const bounded = async (timeoutMs: number, work: (call: Call) => Promise<unknown>) => {
      const call = new Call(env, 'close', undefined, { timeoutMs });
      // What does not end in time is left for the next opening.
      await call.guard(work(call)).catch(() => {});
    };
    await bounded(patienceMs, async () => this.#opening);
    // Nobody is to wait on for a journal that does not open.
    this.#opener?.end('closed');
    if (this.isOpen && drainMs > 0 && this.#lost === undefined)
      await bounded(drainMs, (call) => this.#flushUpTo(Number.POSITIVE_INFINITY, call));
    this.#idle?.cancel();
    const closed = new StrataError('closed', 'flush: the store is closed', { operation: 'flush' });
    await bounded(patienceMs, async () => this.#flusher?.stop(closed));
    if (journal.durability === 'memory' && this.pending.size === 0)
      await bounded(patienceMs, async (call) => this.#flusher?.removeFence(call));
    await bounded(patienceMs, async () => this.#sequencer?.forgetSpent());
    await bounded(patienceMs, () => journal.close());
    this.#sequencer?.end();
  }

  /** The journal takes nothing any more; where somebody else has it, that one flushes. */
  lost(cause: StrataError): void {
    this.#lost = cause;
    this.#sequencer?.refuse(({ operation }) => journalLost(operation, cause));
    this.#setup.onEvent({ type: 'journal-lost', cause });
    if (cause.code !== 'conflict') return;
    const failure = journalLost('flush', cause);
    void this.#flusher?.stop(failure);
    // What was pending is in the hands of the new owner: what it makes of it is seen in the back.
    for (const key of this.pending.abandon()) {
      this.views.touch(key);
      this.#setup.uncopy([key]);
    }
  }

  async #open(): Promise<void> {
    const { env, journal, feed, onEvent } = this.#setup;
    this.#opener = Call.background(env, 'open');
    const records = await journal.open(this.#opener);
    const { epoch, lastSeq, lastId } = journal;
    feed.begin(journal.storeId, baseFor(records, positionOf(epoch, lastSeq, lastId)));
    this.#sequencer = this.#newSequencer();
    this.#flusher = this.#newFlusher(this.#sequencer);
    for (const due of dueOf(records)) this.#recover(due);
    // A copy that outlived the process may be older than what the back holds already.
    const written = records.flatMap(({ writes }) => writes.map(({ key }) => key));
    if (written.length > 0) this.#setup.uncopy([...new Set(written)]);
    for (const record of lastRun(records, lastSeq)) feed.add(pastOf(record, epoch));
    const { size: keys, bytes } = this.pending;
    if (keys > 0) onEvent({ type: 'recovered', keys, bytes });
    if (this.#closed) this.#sequencer.refuse(closedCall);
    else this.#flusher.kick();
  }

  #recover({ record, writes, settled }: Due<V>): void {
    const { env } = this.#setup;
    const { seq, bytes } = record;
    const ageMs = Math.max(0, env.now() - (writes[0]?.modifiedAt ?? env.now()));
    const pending = pendingOf({ ...record, writes }, env.monotonicMs() - ageMs);
    for (const write of pending) write.base = afterCrash(write.base);
    this.pending.add(seq, pending, bytes, settled);
  }

  #newSequencer(): Sequencer<V> {
    const { env, journal, maxKeys, maxBytes, blocks } = this.#setup;
    return new Sequencer<V>({
      env,
      ids: this.#ids,
      journal,
      pending: this.pending,
      views: this.views,
      maxKeys,
      maxBytes,
      blocks,
      tracksBase: this.tracksBase,
      onAppended: (record) => this.#took(record),
      // Not within the decision that it stops.
      onFull: () =>
        queueMicrotask(() => {
          this.#flusher?.kick();
          this.#forgetSpent();
        }),
    });
  }

  #newFlusher(sequencer: Sequencer<V>): Flusher<V> {
    const setup = this.#setup;
    const backWins = this.#newBackWins(sequencer);
    const { env, journal, fenced, conditional } = setup;
    const rules: FlushRules = {
      storeId: journal.storeId,
      tracksBase: this.tracksBase,
      guards: !fenced && conditional,
    };
    return new Flusher<V>({
      env,
      pending: this.pending,
      rules,
      epoch: journal.epoch,
      fenced,
      fenceValue: setup.fenceValue,
      retry: setup.retry,
      // A write that is given up may land later, and nothing there would keep it from that.
      timeoutMs: fenced || conditional ? setup.timeoutMs : Number.POSITIVE_INFINITY,
      usualMs: setup.usualMs,
      commit: setup.commit,
      look: setup.look,
      onEvent: setup.onEvent,
      settle: (write, base) => this.#settle(write, base),
      onFlushed: () => this.#flushed(),
      checkOwner: () => backWins.checkOwner(),
      bury: (write, now, cause) => backWins.bury(write, now, cause),
      resolve: (write, now) => backWins.resolve(write, now),
    });
  }

  #newBackWins(sequencer: Sequencer<V>): BackWins<V> {
    const { env, journal, feed, onConflict, give, own, uncopy, onEvent } = this.#setup;
    return new BackWins<V>({
      env,
      ids: this.#ids,
      journal,
      feed,
      pending: this.pending,
      sequencer,
      onConflict,
      shown: (entry) => this.shown(entry),
      give,
      own,
      uncopy,
      settle: (write, base) => this.#settle(write, base),
      took: (record, instead) => {
        this.#flusher?.defer(instead.rev, record.seq);
        this.#took(record);
      },
      onFlushed: () => this.#flushed(),
      onEvent,
    });
  }

  /** The journal has a commit: it is pending, seen and told from here on. */
  #took(record: JournalRecord<V>): void {
    const { env, feed, journal } = this.#setup;
    for (const { key } of record.writes) this.views.touch(key);
    this.pending.add(record.seq, pendingOf(record, env.monotonicMs()), record.bytes);
    feed.add(pastOf(record, journal.epoch));
    this.#flusher?.kick();
  }

  #settle(write: PendingWrite<V>, base: Base): void {
    this.pending.settle(write, base);
    this.views.touch(write.key);
  }

  #flushed(): void {
    const sequencer = this.#sequencer;
    if (sequencer === undefined) return;
    if (sequencer.isBusy) {
      sequencer.wake();
      return;
    }
    this.#forgetLater();
  }

  #forgetLater(): void {
    if (this.#closed) return;
    const forget = (): void => {
      this.#idle = undefined;
      this.#forgetSpent();
    };
    this.#idle ??= this.#setup.env.setTimer(forget, IDLE_MS, { background: true });
  }

  #forgetSpent(): void {
    void this.#sequencer?.forgetSpent().then((forgot) => {
      if (!forgot && this.#lost === undefined) this.#forgetLater();
    });
  }
}

function closedCall({ operation, key }: Call): StrataError {
  return new StrataError('closed', `${operation}: the store is closed`, { operation, key });
}
