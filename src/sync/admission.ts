import type { Env, Timer } from '../store/env.ts';

export interface AdmissionLimits {
  /** So many subscribers at most read the store for themselves at once. */
  readonly readings: number;
  /** Who waits longer than this for its turn is sent away. */
  readonly turnTimeoutMs: number;
}

/** Somebody that wants to read. */
export interface TurnTaker {
  /** It has waited for too long (`turned-away`), or kept others waiting (`no-progress`). Ends it. */
  sendAway(reason: 'turned-away' | 'no-progress', spreadMs: number): void;
}

/** How often it is looked whether those who wait have waited too long, or somebody holds them up. */
const CHECK_MS = 1_000;
/** Whoever moves nothing for so long, or less than so much a second, does not keep others waiting. */
const STALL_MS = 5_000;
const LEAST_BYTES_A_SECOND = 16 * 1024;
/** All who send work so long together before anything else gets its turn. */
const SLICE_MS = 8;

interface Waiting {
  readonly taker: TurnTaker;
  readonly sinceMs: number;
  readonly resolve: (turn: Turn | undefined) => void;
}

/**
 * Bounds how many snapshots, comparisons and catch-ups are under way at once, for all subscribers
 * of a process or hub: each costs a page of entries and frames of its own. Others wait in order,
 * and are sent away to come back later when that takes too long. A reading that its own subscriber
 * holds up ends when others wait for its place.
 */
export class Admission {
  readonly #env: Env;
  readonly #limits: AdmissionLimits;
  /** In the order they began. */
  readonly #held: Set<Turn> = new Set();
  /** In the order they came. */
  readonly #waiting: Map<TurnTaker, Waiting> = new Map();
  #checks: Timer | undefined;
  #slice: { readonly startMs: number; readonly over: Promise<void> } | undefined;

  constructor(env: Env, limits: AdmissionLimits) {
    this.#env = env;
    this.#limits = limits;
  }

  get reading(): number {
    return this.#held.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Gives a turn when there is one, or nothing to who has left meanwhile. */
  enter(taker: TurnTaker): Promise<Turn | undefined> {
    if (this.#waiting.size === 0 && this.#held.size < this.#limits.readings)
      return Promise.resolve(this.#begin(taker));
    return new Promise((resolve) => {
      this.#waiting.set(taker, { taker, sinceMs: this.#env.monotonicMs(), resolve });
      this.#checks ??= this.#checkLater();
    });
  }

  /** Waits no longer. */
  leave(taker: TurnTaker): void {
    const waiting = this.#waiting.get(taker);
    this.#waiting.delete(taker);
    waiting?.resolve(undefined);
  }

  /**
   * Waits where those who send have worked long enough without a pause: neither reading from memory
   * nor filling the buffers of many sockets waits by itself, and everything else would.
   */
  breathe(): Promise<void> | undefined {
    const nowMs = this.#env.monotonicMs();
    this.#slice ??= {
      startMs: nowMs,
      over: new Promise((resolve) => {
        this.#env.setTimer(() => {
          this.#slice = undefined;
          resolve();
        }, 0);
      }),
    };
    return nowMs - this.#slice.startMs < SLICE_MS ? undefined : this.#slice.over;
  }

  #begin(taker: TurnTaker): Turn {
    const turn = new Turn(taker, this.#env, () => {
      if (this.#held.delete(turn)) this.#next();
    });
    this.#held.add(turn);
    return turn;
  }

  #next(): void {
    for (const [taker, { resolve }] of this.#waiting) {
      if (this.#held.size >= this.#limits.readings) return;
      this.#waiting.delete(taker);
      resolve(this.#begin(taker));
    }
  }

  #checkLater(): Timer {
    return this.#env.setTimer(() => this.#check(), CHECK_MS, { background: true });
  }

  #check(): void {
    this.#checks = undefined;
    const nowMs = this.#env.monotonicMs();
    const { turnTimeoutMs } = this.#limits;
    for (const { taker, sinceMs } of [...this.#waiting.values()]) {
      if (nowMs - sinceMs < turnTimeoutMs) break;
      this.leave(taker);
      taker.sendAway('turned-away', turnTimeoutMs);
    }
    const stalled = [...this.#held].filter((turn) => turn.isStalled(nowMs));
    for (const { taker } of stalled.slice(0, this.#waiting.size))
      taker.sendAway('no-progress', turnTimeoutMs);
    if (this.#waiting.size > 0) this.#checks = this.#checkLater();
  }
}

/** The right to read, until `end`. */
export class Turn {
  readonly taker: TurnTaker;
  readonly #env: Env;
  readonly #end: () => void;
  /** Since when it waits for its subscriber. */
  #blockedMs: number | undefined;
  #waitedMs = 0;
  #movedBytes = 0;

  constructor(taker: TurnTaker, env: Env, end: () => void) {
    this.taker = taker;
    this.#env = env;
    this.#end = end;
  }

  /** From now on it waits for its subscriber; the store's own time counts against nobody. */
  blocked(): void {
    this.#blockedMs ??= this.#env.monotonicMs();
  }

  /** Bytes went to the subscriber, or came from it. */
  moved(bytes: number): void {
    this.#movedBytes += bytes;
    if (this.#blockedMs === undefined) return;
    this.#waitedMs += this.#env.monotonicMs() - this.#blockedMs;
    this.#blockedMs = undefined;
  }

  isStalled(nowMs: number): boolean {
    const blockedMs = this.#blockedMs === undefined ? 0 : nowMs - this.#blockedMs;
    const waitedMs = this.#waitedMs + blockedMs;
    if (blockedMs >= STALL_MS) return true;
    return waitedMs >= STALL_MS && this.#movedBytes * 1_000 < waitedMs * LEAST_BYTES_A_SECOND;
  }

  end(): void {
    this.#end();
  }
}
