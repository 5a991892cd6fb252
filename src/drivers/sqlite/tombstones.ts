import type { Env, Timer } from '../../store/env.ts';
import type { SqliteEngine } from './engine.ts';
import { TOMBSTONE_OVERHEAD_BYTES } from './tables.ts';
import type { WriteLock } from './write-lock.ts';

const SWEEP_EVERY_MS = 30_000;
/** One transaction of the sweeper takes so many rows, and the next follows after a breath. */
const SWEEP_ROWS = 500;
const BREATH_MS = 5;
const FORGET_ROWS = 64;

export interface TombstonesOptions {
  readonly engine: SqliteEngine;
  readonly env: Env;
  readonly lock: WriteLock;
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/**
 * What is remembered of deletes, bounded by age and bytes, and the sweeper, which turns expired
 * entries into tombstones at their own place: a reader that resumes may hold an older value.
 */
export class Tombstones {
  readonly #options: TombstonesOptions;
  #timer: Timer | undefined;

  constructor(options: TombstonesOptions) {
    this.#options = options;
  }

  /** Accounts for a change of their size, within a transaction; forgets the oldest where that is too much. */
  add(bytes: number, nowMs: number): void {
    const { engine, maxBytes } = this.#options;
    engine.tables.changeState.run(0, bytes);
    if (bytes > 0 && this.#bytes() > maxBytes) this.#forget(nowMs, Number.POSITIVE_INFINITY);
  }

  startSweeping(): void {
    this.#sweepAfter(SWEEP_EVERY_MS);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #sweepAfter(delayMs: number): void {
    const sweep = (): void => this.#sweepAfter(this.#sweep() ? BREATH_MS : SWEEP_EVERY_MS);
    this.#timer = this.#options.env.setTimer(sweep, delayMs, { background: true });
  }

  /** Sweeps once; true when there is more to do at once. */
  #sweep(): boolean {
    const { engine, env, lock } = this.#options;
    const { tables } = engine;
    const nowMs = Math.floor(env.now());
    let begun = false;
    try {
      const expired = tables.anyExpired.first(nowMs) !== undefined;
      if (!expired && !this.#anyOld(nowMs)) return false;
      begun = lock.tryBegin('sweep');
      // Whoever holds the lock may be sweeping.
      if (!begun) return false;
      const swept = tables.buryExpired.all(nowMs, SWEEP_ROWS);
      let bytes = 0;
      for (const [keyBytes] of swept) bytes += TOMBSTONE_OVERHEAD_BYTES + keyBytes;
      tables.changeState.run(0, bytes);
      const forgotten = this.#forget(nowMs, SWEEP_ROWS);
      lock.commit();
      return swept.length === SWEEP_ROWS || forgotten >= SWEEP_ROWS;
    } catch {
      // A full disk or damage: the operation that needs the space or the row says so, while
      // expired entries stay hidden without the sweep.
      if (begun) lock.rollBack();
      return false;
    }
  }

  #bytes(): number {
    return this.#options.engine.tables.tombstoneBytes.first()?.[0] ?? 0;
  }

  #anyOld(nowMs: number): boolean {
    const [oldest] = this.#options.engine.tables.oldestTombstones.all(1);
    return oldest !== undefined && oldest[3] <= nowMs - this.#options.maxAgeMs;
  }

  /** Forgets the oldest that are too old or too many, within a transaction; a reader from before them can then not go on. */
  #forget(nowMs: number, mostRows: number): number {
    const { engine, maxAgeMs, maxBytes } = this.#options;
    const { tables } = engine;
    const before = this.#bytes();
    let bytes = before;
    let floor = 0;
    let forgotten = 0;
    for (let taken = FORGET_ROWS; taken === FORGET_ROWS && forgotten < mostRows; ) {
      taken = 0;
      for (const [id, rev, keyBytes, deletedAt] of tables.oldestTombstones.all(FORGET_ROWS)) {
        if (bytes <= maxBytes && deletedAt > nowMs - maxAgeMs) break;
        tables.forget.run(id);
        bytes -= TOMBSTONE_OVERHEAD_BYTES + keyBytes;
        floor = Math.max(floor, rev);
        taken++;
      }
      forgotten += taken;
    }
    if (forgotten > 0) tables.changeState.run(floor, bytes - before);
    return forgotten;
  }
}
