import { attempt } from '../../kernel/awaitable.ts';
import { Call } from '../../store/call.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import type { Position, Write } from '../../store/primitives.ts';
import { type CatchUpMember, catchUp, SourceAway } from './catch-up.ts';
import { Contiguity, MAX_BEYOND } from './contiguity.ts';
import type { MemberStatus, RepairCounts } from './events.ts';
import { Fences } from './fences.ts';
import { type Intent, Intents } from './intents.ts';
import { LaneQueue } from './lane-queue.ts';
import type { LaneSetup } from './lane-setup.ts';
import { Marker } from './marker.ts';
import { asStrataError, type Mark, type Member } from './member.ts';
import { MemberWrites } from './member-writes.ts';
import type { StampedCommit, Window } from './queues.ts';
import { Refusals } from './refusals.ts';
import { Retry } from './retry.ts';
import { Room } from './room.ts';
import { toCopy } from './stamps.ts';
import { type Waiter, WaiterList, waiterFor } from './waiters.ts';

const NO_LOAD = { entries: 0, bytes: 0 };

/**
 * Brings one member what the first store commits. While the member is live, commits come through a
 * queue; when it fails, what is queued is forgotten, and the first store's feed tells what it lacks.
 * It alone writes to the member, one window after the other, so nothing there goes back in time.
 */
export class Lane<V> {
  readonly member: Member<V>;
  readonly fences: Fences;
  readonly room: Room;
  /** Ends with the lane. */
  readonly life: Call;
  /** What the member holds beside its entries, of writes whose copies follow. */
  readonly intents: Intents<V>;
  readonly writes: MemberWrites<V>;
  readonly #setup: LaneSetup<V>;
  readonly #queue: LaneQueue<V>;
  readonly #seen = new Contiguity();
  readonly #marker: Marker<V>;
  readonly #refusals: Refusals;
  readonly #waiters = new WaiterList();
  #phase: 'new' | 'behind' | 'live' | 'closed' = 'new';
  /** The newest commit that was offered. */
  #offered = 0;
  /** Everything up to this revision was in the member when it was last brought up to date. */
  #caughtUp = 0;
  #timesLive = 0;
  #away: StrataError | undefined;
  #sourceAway = false;
  readonly #retry: Retry;
  #recovering: Promise<void> | undefined;

  constructor(setup: LaneSetup<V>) {
    const { member, awaited, everyWrite, queueLength, queueBytes, maxFenced } = setup;
    this.#setup = setup;
    this.member = member;
    this.fences = new Fences(maxFenced);
    this.#refusals = new Refusals(member.name, setup.onEvent);
    const most = { entries: queueLength, bytes: queueBytes };
    this.#queue = new LaneQueue(everyWrite && !awaited, most);
    this.room = new Room(most, () => (this.isLive ? this.#queue.load : NO_LOAD));
    this.life = Call.background(member.env, 'replicate');
    this.writes = new MemberWrites(member, this.life);
    this.#retry = new Retry(member.env, setup.retry, () => this.#recover());
    this.intents = new Intents(member, {
      mayPut: () => this.isLive && this.#queue.hasRoom,
      mark: () => this.mark,
      onSettled: () => this.#pump(),
      onHung: (error) => {
        this.#givenUp(error);
        this.#wake();
      },
    });
    this.#marker = new Marker({
      member,
      first: setup.first,
      isLive: () => this.isLive,
      isEven: () => this.isEven,
      seenUpTo: () => this.#seen.upTo,
      onLost: () => this.distrust(),
      onOthers: () => this.distrust(),
      onRewound: setup.onRewound,
    });
  }

  get isLive(): boolean {
    return this.#phase === 'live';
  }

  /** Why the member cannot be written to at present. */
  get away(): StrataError | undefined {
    return this.#phase === 'behind' ? this.#away : undefined;
  }

  /** Whether the member has all that was offered. */
  get isEven(): boolean {
    return this.isLive && this.#queue.isEmpty;
  }

  get mark(): Mark | undefined {
    return this.#marker.mark;
  }

  /** How often the member was brought up to date. */
  get timesLive(): number {
    return this.#timesLive;
  }

  /** Whether the member has what `offer` gave this for. */
  has(waiter: Waiter | undefined): boolean {
    if (waiter === undefined || waiter.state === 'here') return true;
    return waiter.turn <= this.#queue.doneTurn || waiter.rev <= this.#caughtUp;
  }

  get status(): MemberStatus {
    const { entries, bytes } = this.isLive ? this.#queue.load : NO_LOAD;
    return {
      name: this.member.name,
      state: this.#phase === 'live' ? 'live' : this.#away === undefined ? 'catching-up' : 'away',
      queued: entries,
      queuedBytes: Math.round(bytes),
      fenced: this.fences.size,
      rev: this.#phase === 'live' ? this.#seen.upTo : this.#caughtUp,
      refused: this.#refusals.all,
      ...(this.#away !== undefined && { lastError: this.#away }),
    };
  }

  /** Begins to bring the member up to date. */
  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'behind';
    this.#recover();
  }

  /** A commit of the first store. Gives what settles when the member has it, for those who wait. */
  offer(commit: StampedCommit<V>, intent?: Intent): Waiter | undefined {
    const { rev, changes } = commit;
    const fate = intent && this.intents.done(intent, rev);
    this.#seen.note(rev);
    this.#offered = Math.max(this.#offered, rev);
    if (rev <= this.#caughtUp || this.#phase === 'closed') {
      // The intent is over, and somebody may wait for it to go.
      this.#pump();
      return undefined;
    }
    this.fences.raise(changes.keys(), rev);
    if (this.#seen.beyond > MAX_BEYOND) this.distrust();
    const waiter = waiterFor(rev);
    if (this.#phase !== 'live' && !this.#queue.hasRoom) this.#forgetQueue();
    // What another write has replaced is there when that is.
    waiter.turn = this.#queue.put(commit);
    if (fate !== undefined) fate.turn = waiter.turn;
    if (this.#phase === 'live') {
      if (waiter.turn <= this.#queue.doneTurn) waiter.state = 'here';
    } else {
      if (this.#sourceAway) this.kick();
      if (this.#away !== undefined && this.#retry.isPausing) waiter.state = { error: this.#away };
    }
    if (this.#setup.awaited && waiter.state === 'waiting') this.#waiters.add(waiter);
    // The same window takes the intent away.
    if (intent?.isPutting !== true) this.#pump();
    return waiter;
  }

  /** What was offered up to here is left to the feed. */
  #forgetQueue(): void {
    this.#queue.forget(this.#offered);
    this.#waiters.forgetTurns();
  }

  /** These keys may have changed in the first store, and it cannot be known but from its feed. */
  doubt(keys: Iterable<string>): void {
    this.fences.raiseUnknown(keys);
    if (this.#phase === 'live') this.#fallBehind();
  }

  /** Nothing is known of the member any more until it was brought up to date. */
  distrust(): void {
    this.fences.distrust();
    if (this.#phase === 'live') this.#fallBehind();
  }

  /** The first store has lost data: its revisions begin anew. */
  rewound(): void {
    this.#seen.reset();
    this.#offered = 0;
    this.#caughtUp = 0;
    this.#forgetQueue();
    this.#waiters.rejectAll(failure('unavailable', 'replicate', 'the first store has lost data'));
    this.distrust();
  }

  /** Tries a member that is away now, instead of after its pause. */
  kick(): void {
    if (this.#recovering === undefined) this.#retry.kick();
  }

  /** Runs a step while nothing else is written to the member. */
  async alone<T>(step: () => Promise<T>): Promise<T> {
    await this.writes.enter();
    try {
      const result = step();
      this.writes.begun(result);
      return await result;
    } finally {
      if (this.writes.hasStrayed && this.#phase === 'live') this.#fallBehind();
      this.#rest();
    }
  }

  /** Settles when the member is live and has all that was offered by now; or fails next. */
  async even(call: Call): Promise<void> {
    const turn = this.#queue.putTurn;
    this.kick();
    for (;;) {
      if (this.isEven || this.#phase === 'closed') return;
      if (this.#phase === 'live' && this.#queue.doneTurn >= turn) return;
      if (this.#away !== undefined && this.#retry.isPausing) throw this.#away;
      await call.untilEnd(this.life.untilEnd(this.writes.untilIdle()));
    }
  }

  /** Waits for what is under way, notes how far the member came, and ends. */
  async close(): Promise<void> {
    if (this.#phase === 'closed') return;
    await this.#marker.finish();
    this.#phase = 'closed';
    this.#retry.stop();
    this.#marker.rest();
    this.life.end('closed');
    this.#waiters.rejectAll(failure('closed', 'replicate', 'the store was closed'));
    // What is applied after the next opening would undo what that has written.
    const bound = this.member.call('close');
    this.intents.giveUp(this.life.ended);
    const all = Promise.all([this.writes.underWay, this.#recovering, this.intents.allSettled()]);
    await bound.guard(all).catch(() => {});
  }

  #pump(): void {
    while (this.#phase === 'live' && !this.writes.isBusy) {
      const window = this.#queue.take();
      // Where a commit is not one step, what it removes may go before what it brings.
      const turn =
        window !== undefined && this.intents.isAtomic ? window.turn : this.#queue.doneTurn;
      const over = this.intents.removable(
        (fate) => fate.turn <= turn || fate.rev <= this.#caughtUp,
      );
      if (window === undefined && over.length === 0) return;
      this.writes.isBusy = true;
      const writes = this.#copiesOf(window);
      if (over.length > 0) writes.push(...this.intents.removal(over));
      void attempt(
        () => (writes.length === 0 ? undefined : this.writes.apply(writes)),
        () => {
          this.intents.removed(over);
          if (window === undefined) this.#rest();
          else this.#applied(window);
        },
        (error) => {
          this.#givenUp(asStrataError(error, 'replicate'));
          this.#rest();
        },
      );
    }
  }

  /** Without what the feed has brought, which may be newer. */
  #copiesOf(window: Window<V> | undefined): Write<V>[] {
    const copies: Write<V>[] = [];
    for (const change of window?.changes ?? [])
      if ((change.rev ?? 0) > this.#caughtUp) copies.push(toCopy(change, this.#setup.first));
    return copies;
  }

  #applied({ changes, turn }: Window<V>): void {
    if (this.#phase === 'live') {
      this.#queue.done(turn);
      for (const { key, rev = 0 } of changes) this.fences.lower(key, rev);
      this.#waiters.settle((waiter) => waiter.turn <= turn);
      this.#marker.applied();
    }
    this.#rest();
  }

  #rest(): void {
    this.writes.isBusy = false;
    this.#wake();
  }

  /** What waited for a change here looks again. */
  #wake(): void {
    this.writes.wake();
    this.room.admit();
    this.#setup.onAdvance();
    this.#pump();
  }

  #givenUp(error: StrataError): void {
    if (this.#phase !== 'live') return;
    this.#fallBehind(error);
    this.#waiters.rejectAll(error);
  }

  /** From here on the feed tells what the member lacks. */
  #fallBehind(cause?: StrataError): void {
    this.#phase = 'behind';
    this.#forgetQueue();
    this.#marker.rest();
    this.room.admit();
    this.#setup.onAdvance();
    if (cause === undefined) this.#recover();
    else this.#pause(cause);
  }

  #pause(cause: StrataError): void {
    const { onEvent, onFailure } = this.#setup;
    if (this.#phase === 'closed') return;
    this.#retry.isPausing = true;
    this.intents.giveUp(cause);
    this.#sourceAway = cause instanceof SourceAway;
    if (!this.#sourceAway) {
      if (this.#away === undefined)
        onEvent({ type: 'member-away', member: this.member.name, cause });
      this.#away = cause;
      if (onFailure(cause)) return;
    }
    this.#retry.pause();
  }

  #recover(): void {
    if (this.#phase !== 'behind' || this.#recovering !== undefined) return;
    this.#retry.isPausing = false;
    this.#recovering = this.#tryToRecover().finally(() => {
      this.#recovering = undefined;
      if (!this.#retry.isPausing) this.#recover();
    });
  }

  async #tryToRecover(): Promise<void> {
    try {
      await this.writes.strayed();
      await this.life.untilEnd(this.intents.allSettled());
      await catchUp(this.#asMember());
    } catch (error) {
      if (this.#phase !== 'behind') return;
      const cause = asStrataError(error, 'replicate');
      this.#pause(cause);
      if (!this.#sourceAway) this.#waiters.rejectAll(cause);
      this.#wake();
    }
  }

  #asMember(): CatchUpMember<V> {
    const { first, awaited, wasDeleted, onEvent, onRewound } = this.#setup;
    return {
      first,
      member: this.member,
      life: this.life,
      alone: (step) => this.alone(step),
      apply: (writes) => this.writes.apply(writes),
      ...(awaited && { intents: this.intents }),
      moment: () => this.fences.moment,
      marked: (mark) => {
        this.#marker.mark = mark;
        const isOfNow = mark.storeId === first.storeId && mark.at.epoch === first.epoch;
        if (isOfNow) this.#waiters.settle(({ rev }) => rev <= mark.at.rev);
      },
      atHead: (at, moment) => this.#atHead(at, moment),
      ...(!awaited &&
        this.#retry.pauses >= 2 && { refuse: (refused) => this.#refusals.add(refused) }),
      ...(wasDeleted && { wasDeleted }),
      onCompared: (counts: RepairCounts) =>
        onEvent({ type: 'compared', member: this.member.name, counts }),
      onRewound,
    };
  }

  /** The member has everything up to a head of the first store; true when the queue has the rest. */
  #atHead(at: Position, moment: number): boolean {
    if (this.#phase !== 'behind') return true;
    this.#caughtUp = at.rev;
    this.#seen.skipTo(at.rev);
    if (!this.#queue.goesOnFrom(at.rev)) return false;
    this.fences.caughtUp(at.rev, moment);
    this.#phase = 'live';
    this.#timesLive++;
    this.#queue.join();
    this.#away = undefined;
    this.#sourceAway = false;
    this.#marker.rest();
    if (this.#retry.pauses > 0)
      this.#setup.onEvent({ type: 'member-live', member: this.member.name });
    this.#retry.succeeded();
    this.#wake();
    return true;
  }
}
