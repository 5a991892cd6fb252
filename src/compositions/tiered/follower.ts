import { delegateFeed } from '../../kernel/delegate.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Env, Timer } from '../../store/env.ts';
import { isStrataError, type StrataError } from '../../store/errors.ts';
import { cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../store/primitives.ts';
import type { TieredEvent, TieredStatus } from './events.ts';
import { FollowFront, type FollowFrontSetup } from './follow-front.ts';
import { FollowLag } from './follow-lag.ts';
import { Pace } from './follow-pace.ts';
import type { KeptPosition } from './follow-position.ts';
import { removal } from './front-copies.ts';

/** A follower at rest makes sure so often that it is current. */
const BEAT_MS = 1_000;
/** The position is written so often at most. */
const KEEP_EVERY_MS = 1_000;
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;
/** So many copies in doubt are removed at once. */
const REMOVALS = 1_000;
const LEFT_EPOCHS = 16;
const OTHER_HISTORY = 'the back is another store, or has another epoch';

export interface FollowerSetup<V> extends Omit<FollowFrontSetup<V>, 'pace'> {
  readonly feed: Feed<V>;
  /** How long a step of the feed is waited for. */
  readonly timeoutMs: number;
  /** Copies are not served while the front may be older than this. */
  readonly maxLagMs: number | undefined;
  /** Where the position is kept; absent where the front does not outlive the process. */
  readonly position: KeptPosition<V> | undefined;
  readonly onEvent: (event: TieredEvent) => void;
  readonly onFrontError: (error: unknown) => void;
}

/**
 * Follows the feed of the back and keeps the front in step with it.
 *
 * The front is served once everything up to a head of the back is in it: that of the beginning,
 * before which all copies are removed; or, after a position that the front has kept, the head at
 * opening. When the feed cannot be continued, it begins anew. While it does not answer, the front is
 * served as it is, unless that is bounded by `maxLagMs`.
 */
export class Follower<V> {
  readonly #setup: FollowerSetup<V>;
  readonly #env: Env;
  readonly #front: FollowFront<V>;
  readonly #pace: Pace;
  readonly #lag: FollowLag;
  readonly #beatMs: number;
  readonly #bell = new Doorbell();
  #state: NonNullable<TieredStatus['follow']>['state'] = 'starting';
  #storeId = '';
  /** Everything up to here is in the front; absent before the beginning. */
  #at: Position | undefined;
  /** The front is served from this revision on. */
  #servesFrom = 0;
  #caughtUp = false;
  /** Epochs of the back that are over: a feed may still have commits of them in hand. */
  readonly #left: Set<string> = new Set();
  #trustsKept = true;
  #busy = false;
  #waits = false;
  #keptMs = 0;
  #kept: Position | undefined;
  /** The step under way. */
  #step: Call | undefined;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(setup: FollowerSetup<V>) {
    const { env, copies, maxLagMs } = setup;
    this.#setup = setup;
    this.#env = env;
    this.#pace = new Pace(env);
    this.#front = new FollowFront({ ...setup, pace: this.#pace });
    this.#beatMs = Math.max(1, Math.min(BEAT_MS, (maxLagMs ?? Number.POSITIVE_INFINITY) / 2));
    this.#lag = new FollowLag(env, this.#beatMs);
    copies.follows = true;
    copies.gate = () => this.#serves;
  }

  start(): void {
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  get status(): NonNullable<TieredStatus['follow']> {
    return { state: this.#state, lagMs: this.#lag.lagMs };
  }

  /**
   * The feed of the back as others see it: a commit is given when it is in the front, so that nobody
   * finds an older value there than the feed has told.
   */
  behind(feed: Feed<V>): Feed<V> {
    const meet = (page: FeedPage<V>, call: Call): Awaitable<void> => this.#precede(page, call);
    return {
      ...delegateFeed(feed),
      async *read(after, call) {
        for await (const page of feed.read(after, call)) {
          const met = meet(page, call);
          if (met instanceof Promise) await met;
          yield page;
        }
      },
    };
  }

  /** Ends following; keeps the position where everything before it is in the front. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#bell.ring();
    this.#step?.end('closed');
    this.#pause?.end();
    // A front that does not let itself be emptied would hold it up for as long.
    this.#setup.copies.endRestart();
    await this.#running;
    if (this.#caughtUp) await this.#keep();
  }

  get #serves(): boolean {
    const { maxLagMs } = this.#setup;
    return this.#caughtUp && (maxLagMs === undefined || this.#lag.ageMs <= maxLagMs);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      try {
        await this.#round();
        failures = 0;
      } catch (error) {
        if (this.#closed) return;
        // A feed that answers is asked again at once.
        if (this.#failed(error)) failures = 0;
        if (isStrataError(error, 'closed')) break;
        await this.#rest(
          this.#env.random() * Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** failures++),
        );
      }
    }
    this.#closed = true;
    this.#bell.ring();
  }

  /** Begins, reads a commit, or waits for one. */
  async #round(): Promise<void> {
    const at = this.#at;
    if (at === undefined) return this.#begin();
    if (this.#busy && this.#lag.wantsMark) {
      const askedMs = this.#env.monotonicMs();
      const { head } = await this.#bounded((call) => this.#setup.feed.state(call));
      this.#lag.mark(head.rev, askedMs);
    }
    const askedMs = this.#env.monotonicMs();
    const end = await this.#read(at);
    if (end === undefined) {
      this.#busy = false;
      this.#lag.current(askedMs);
      this.#arrived(at);
      await this.#front.settle();
      await this.#keepNowAndThen();
      if (!this.#closed) await this.#wait(at);
    } else {
      this.#busy = true;
      this.#lag.passed(end.rev);
      this.#arrived(end);
      await this.#keepNowAndThen();
    }
    const { breath } = this.#pace;
    if (breath !== undefined) await breath;
  }

  async #begin(): Promise<void> {
    const { copies, feed, load } = this.#setup;
    const kept = this.#trustsKept ? await this.#readKept() : undefined;
    const askedMs = this.#env.monotonicMs();
    const { storeId, head } = await this.#bounded((call) => feed.state(call));
    // From here to the removal of the copies nothing may come in between.
    this.#storeId = storeId;
    this.#servesFrom = head.rev;
    this.#lag.restart();
    this.#lag.mark(head.rev, askedMs);
    if (kept !== undefined && kept.storeId === storeId && kept.head.epoch === head.epoch) {
      this.#kept = kept.head;
      this.#at = kept.head;
      return;
    }
    this.#front.renounce();
    if (kept !== undefined) this.#tellLost(cursorExpired('follow', kept.head, OTHER_HISTORY));
    if (!(await copies.restart())) return;
    // What is written meanwhile comes again, after that head: also deletes, which a read from nothing leaves out.
    if (load !== undefined) await this.#read(undefined);
    if (this.#closed) return;
    this.#lag.passed(head.rev);
    this.#arrived(head);
  }

  /** Brings one commit to the front, and gives where it ends; `undefined` when there is none. */
  async #read(after: Position | undefined): Promise<Position | undefined> {
    const call = this.#newCall();
    const pages = this.#setup.feed.read(after, call)[Symbol.asyncIterator]();
    let over = false;
    try {
      for (;;) {
        const step = await this.#bounded(() => pages.next(), call);
        over = step.done === true;
        if (step.done === true) return undefined;
        this.#lag.told();
        await this.#front.meet(step.value.changes);
        if (step.value.end !== undefined) return step.value.end;
      }
    } finally {
      // A step that hangs is not waited for.
      if (!over) pages.return?.()?.then(undefined, () => {});
    }
  }

  /** Everything up to a position is in the front. */
  #arrived(at: Position): void {
    this.#at = at;
    if (at.rev >= this.#servesFrom && this.#state !== 'following') {
      const begins = !this.#caughtUp;
      this.#caughtUp = true;
      this.#state = 'following';
      if (begins) this.#setup.onEvent({ type: 'following' });
    }
    this.#bell.ring();
  }

  /** True when the feed has answered that it cannot be continued. */
  #failed(error: unknown): boolean {
    this.#lag.failed();
    if (this.#state === 'following') this.#state = 'lost';
    if (!isStrataError(error, 'cursor-expired', 'corrupt', 'data-missing')) return false;
    if (this.#at === undefined) return false;
    this.#left.add(this.#at.epoch);
    if (this.#left.size > LEFT_EPOCHS) this.#left.delete([...this.#left][0] as string);
    this.#at = undefined;
    this.#caughtUp = false;
    this.#trustsKept = false;
    this.#tellLost(error);
    return true;
  }

  #tellLost(cause: StrataError): void {
    this.#state = 'lost';
    this.#bell.ring();
    this.#setup.onEvent({ type: 'feed-lost', cause });
  }

  /** Waits for something new, but not without making sure now and then that there is nothing. */
  async #wait(at: Position): Promise<void> {
    const call = this.#newCall();
    this.#waits = true;
    try {
      await this.#bounded(() => this.#setup.feed.wait(at, call), call, this.#beatMs);
      this.#lag.told();
    } catch (error) {
      if (error !== call.ended) throw error;
    } finally {
      this.#waits = false;
      this.#pace.rested();
    }
  }

  /** Holds a page back until the front has its commit. */
  #precede({ changes, end }: FeedPage<V>, call: Call): Awaitable<void> {
    this.#front.touch(changes);
    if (end === undefined || this.#isPassed(end)) return undefined;
    return (async () => {
      while (!this.#isPassed(end)) {
        // It is there to be read: no reason to wait any longer.
        this.#pause?.end();
        if (this.#waits) this.#step?.end('timeout');
        await this.#bell.wait(call);
      }
    })();
  }

  #isPassed(end: Position): boolean {
    if (this.#closed || !this.#setup.copies.whole) return true;
    const at = this.#at;
    // Before the front is served again it will have been emptied.
    if (at === undefined) return !this.#trustsKept;
    return at.epoch === end.epoch ? at.rev >= end.rev : this.#left.has(end.epoch);
  }

  async #readKept(): Promise<FeedState | undefined> {
    try {
      return await this.#setup.position?.read();
    } catch (error) {
      this.#setup.onFrontError(error);
      return undefined;
    }
  }

  async #keepNowAndThen(): Promise<void> {
    if (this.#setup.position === undefined || !this.#caughtUp) return;
    const nowMs = this.#env.monotonicMs();
    if (this.#keptMs > 0 && nowMs - this.#keptMs < KEEP_EVERY_MS) return;
    this.#keptMs = nowMs;
    await this.#keep();
  }

  /** Keeps the position, unless the front holds something that only this process knows to be wrong. */
  async #keep(): Promise<void> {
    const { position, copies } = this.#setup;
    const at = this.#at;
    if (position === undefined || at === undefined || at === this.#kept) return;
    if (copies.fenced > 0) await this.#letGoOfDoubtful();
    if (copies.fenced > 0 || !copies.whole) return;
    try {
      await position.write({ storeId: this.#storeId, head: at });
      this.#kept = at;
    } catch (error) {
      this.#setup.onFrontError(error);
    }
  }

  /** Removes copies that are not served because they may be wrong. */
  async #letGoOfDoubtful(): Promise<void> {
    const { copies, front, load } = this.#setup;
    // Nobody would bring back what is taken out.
    if (load !== undefined) return;
    const fenced = [...copies.states.all()].filter((state) => state.fenced);
    for (let at = 0; at < fenced.length; at += REMOVALS) {
      const states = fenced.slice(at, at + REMOVALS);
      const steps = states.map((state) => ({ state, write: removal<V>(state.key) }));
      if (!(await copies.apply(front, states, () => steps))) return;
    }
  }

  /** A step that is waited for, but not for ever, and not beyond the close. */
  async #bounded<T>(
    work: (call: Call) => Awaitable<T>,
    call: Call = this.#newCall(),
    timeoutMs: number = this.#setup.timeoutMs,
  ): Promise<T> {
    if (this.#closed) call.end('closed');
    call.throwIfEnded();
    const result = work(call);
    if (!(result instanceof Promise)) return result;
    const timer = Number.isFinite(timeoutMs)
      ? this.#env.setTimer(() => call.end('timeout'), timeoutMs, { background: true })
      : undefined;
    this.#step = call;
    try {
      return await call.untilEnd(result);
    } finally {
      timer?.cancel();
      this.#step = undefined;
    }
  }

  #newCall(): Call {
    const call = new Call(this.#env, 'follow', undefined, { timeoutMs: this.#setup.timeoutMs });
    call.keepsProcess = false;
    return call;
  }

  #rest(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#pace.rested();
        this.#pause?.timer.cancel();
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: this.#env.setTimer(end, pauseMs, { background: true }), end };
    });
  }
}
