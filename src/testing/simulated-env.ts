import type { Env, Timer } from '../store/env.ts';
import { settled } from './settled.ts';

/** An `Env` whose time passes only when told to, and whose randomness comes from a seed. */
export interface SimulatedEnv extends Env {
  /**
   * Lets `ms` pass: runs the timers due in the order of their times, each at its own time, and
   * lets the promises between two of them run out. Await it.
   */
  advance(ms: number): Promise<void>;
  /** As `advance`, without letting promises run. */
  advanceSync(ms: number): void;
  /** Moves the wall clock alone, either way, as an operator or a time server does. */
  stepClock(ms: number): void;
  /** Timers set and neither run nor cancelled: none may be left when all is closed. */
  readonly pendingTimers: number;
}

interface PendingTimer extends Timer {
  readonly dueMs: number;
  readonly fn: () => void;
}

/** Where the wall clock starts: 2030-01-01, so that no real time is taken for a simulated one. */
const START_MS = 1_893_456_000_000;

/**
 * A simulated world for tests: the same seed gives the same run. Times start at 2030-01-01; a
 * timer fires when `advance` reaches it, timers of one time in the order they were set.
 */
export function simulatedEnv(seed = 1): SimulatedEnv {
  return new Simulation(seed);
}

class Simulation implements SimulatedEnv {
  readonly #next32: () => number;
  /** In the order of their times. */
  #timers: PendingTimer[] = [];
  #monotonicMs = 0;
  #wallOffsetMs = START_MS;

  constructor(seed: number) {
    this.#next32 = generator(seed);
  }

  get pendingTimers(): number {
    return this.#timers.length;
  }

  now(): number {
    return Math.floor(this.#wallOffsetMs + this.#monotonicMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  random(): number {
    return this.#next32() / 2 ** 32;
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#next32() >>> 24);
  }

  setTimer(fn: () => void, delayMs: number): Timer {
    const timer: PendingTimer = {
      dueMs: this.#monotonicMs + Math.max(0, delayMs),
      fn,
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
    const at = this.#timers.findIndex((other) => other.dueMs > timer.dueMs);
    this.#timers.splice(at < 0 ? this.#timers.length : at, 0, timer);
    return timer;
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    await settled();
    while (this.#runNext(untilMs)) await settled();
    this.#monotonicMs = untilMs;
  }

  advanceSync(ms: number): void {
    const untilMs = this.#monotonicMs + ms;
    while (this.#runNext(untilMs));
    this.#monotonicMs = untilMs;
  }

  stepClock(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Runs the first timer due by then; false when there is none. */
  #runNext(untilMs: number): boolean {
    const timer = this.#timers[0];
    if (timer === undefined || timer.dueMs > untilMs) return false;
    this.#timers.shift();
    this.#monotonicMs = Math.max(this.#monotonicMs, timer.dueMs);
    timer.fn();
    return true;
  }
}

/** Small Fast Counter (sfc32): 128 bits of state, whole numbers below 2^32. */
function generator(seed: number): () => number {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let count = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + count) | 0;
    count = (count + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  // Near seeds start alike: mixed before the first number is given.
  for (let i = 0; i < 16; i++) next();
  return next;
}
