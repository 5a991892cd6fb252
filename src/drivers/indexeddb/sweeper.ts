import type { Env, Timer } from '../../store/env.ts';
import type { Connection } from './connection.ts';
import { abandon, completion, resultOf } from './requests.ts';
import {
  ALL_STORES,
  decodeKey,
  ENTRIES,
  EXPIRY,
  encodeKey,
  META,
  PLACE,
  readState,
  STATE_KEY,
  type State,
  type Stored,
  TOMBSTONES,
  type Tombstone,
  tombstoneSize,
} from './schema.ts';

const SWEEP_EVERY_MS = 30_000;
/** So soon after opening, or when too much is remembered of deletes. */
const SWEEP_SOON_MS = 1_000;
/** Records that one transaction removes at most, so that no writer waits long. */
const SWEEP_BATCH = 256;

export interface SweeperOptions {
  readonly env: Env;
  readonly connection: Connection;
  /** How long deletes are remembered. */
  readonly tombstoneMs: number;
  /** How much of them. */
  readonly tombstoneBytes: number;
}

/** What one step did. */
interface Step {
  /** There is more to do at once. */
  readonly more: boolean;
  /** There are entries that will expire. */
  readonly expiring: boolean;
  /** What may stay remembered of deletes after this sweep. */
  readonly keepBytes: number;
}

/** Removes expired values and forgets old deletes, in small transactions. Any tab may do it. */
export class Sweeper {
  readonly #options: SweeperOptions;
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** After a commit or an opening: sweeps when it is time. */
  wake(why: { readonly tombstoneBytes: number; readonly expires: boolean }): void {
    if (why.tombstoneBytes > this.#options.tombstoneBytes) this.#schedule(SWEEP_SOON_MS);
    else if (why.expires) this.#schedule(SWEEP_EVERY_MS);
  }

  start(): void {
    this.#schedule(SWEEP_SOON_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    const { env } = this.#options;
    const dueMs = env.monotonicMs() + delayMs;
    if (this.#stopped || dueMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer = env.setTimer(() => this.#sweep(), delayMs, { background: true });
  }

  async #sweep(): Promise<void> {
    this.#dueMs = Number.POSITIVE_INFINITY;
    try {
      const { connection, tombstoneBytes } = this.#options;
      let step: Step = { more: true, expiring: false, keepBytes: tombstoneBytes };
      while (step.more && !this.#stopped) {
        const { keepBytes } = step;
        step = await connection.run('sweep', undefined, (db) => this.#step(db, keepBytes));
      }
      if (step.expiring) this.#schedule(SWEEP_EVERY_MS);
    } catch {
      // Nobody waits for it, and what is wrong meets the next call as well.
      this.#schedule(SWEEP_EVERY_MS);
    }
  }

  async #step(db: IDBDatabase, keepBytes: number): Promise<Step> {
    const tx = db.transaction(ALL_STORES, 'readwrite');
    const over = completion(tx);
    try {
      const swept = await this.#sweepExpired(tx);
      const forgotten = await this.#forget(tx, swept.bytes, keepBytes);
      const next = await resultOf(tx.objectStore(ENTRIES).index(EXPIRY).getKey(anyKey()));
      tx.commit();
      await over;
      const more = swept.more || forgotten.more;
      return { more, expiring: next !== undefined, keepBytes: forgotten.keepBytes };
    } catch (error) {
      await abandon(tx, over);
      throw error;
    }
  }

  /**
   * Removes expired values. A tombstone stays in the place of each, because a reader that resumes
   * may hold an older value without an expiry.
   */
  async #sweepExpired(tx: IDBTransaction): Promise<{ more: boolean; bytes: number }> {
    const nowMs = this.#options.env.now();
    const entries = tx.objectStore(ENTRIES);
    const tombstones = tx.objectStore(TOMBSTONES);
    const due = IDBKeyRange.upperBound(nowMs);
    const expired = await resultOf(
      entries.index(EXPIRY).getAll(due, SWEEP_BATCH) as IDBRequest<Stored<unknown>[]>,
    );
    let bytes = 0;
    for (const { key, rev, pos } of expired) {
      const keyBytes = encodeKey(key);
      entries.delete(keyBytes);
      tombstones.put({ key, rev, pos, madeMs: nowMs } satisfies Tombstone, keyBytes);
      bytes += tombstoneSize(key);
    }
    return { more: expired.length === SWEEP_BATCH, bytes };
  }

  /** Forgets the oldest deletes; a reader from before them can then not go on. */
  async #forget(
    tx: IDBTransaction,
    addedBytes: number,
    keptBytes: number,
  ): Promise<{ more: boolean; keepBytes: number }> {
    const { env, tombstoneMs, tombstoneBytes: maxBytes } = this.#options;
    const tombstones = tx.objectStore(TOMBSTONES);
    const state = await readState(tx);
    let bytes = state.tombstoneBytes + addedBytes;
    let keepBytes = keptBytes;
    if (bytes > keepBytes && keepBytes === maxBytes) {
      // Deletes of keys that were written again are still counted: count anew before forgetting any.
      bytes = await exactBytes(tombstones);
      // Well below the bound, so that the next deletes do not each come here.
      if (bytes > maxBytes) keepBytes = maxBytes * 0.75;
    }
    const keepSinceMs = env.now() - tombstoneMs;
    const oldest = await resultOf(
      tombstones.index(PLACE).getAll(null, SWEEP_BATCH) as IDBRequest<Tombstone[]>,
    );
    let { floor } = state;
    let forgotten = 0;
    for (const { key, rev, madeMs } of oldest) {
      if (bytes <= keepBytes && madeMs > keepSinceMs) break;
      tombstones.delete(encodeKey(key));
      bytes -= tombstoneSize(key);
      floor = Math.max(floor, rev);
      forgotten++;
    }
    const all = forgotten === oldest.length;
    const more = all && oldest.length === SWEEP_BATCH;
    if (all && !more) bytes = 0;
    if (bytes !== state.tombstoneBytes || floor !== state.floor) {
      const changed: State = { ...state, floor, tombstoneBytes: bytes };
      tx.objectStore(META).put(changed, STATE_KEY);
    }
    return { more, keepBytes };
  }
}

async function exactBytes(tombstones: IDBObjectStore): Promise<number> {
  const keys = await resultOf(tombstones.getAllKeys());
  return keys.reduce((bytes: number, key) => bytes + tombstoneSize(decodeKey(key)), 0);
}

function anyKey(): IDBKeyRange {
  return IDBKeyRange.lowerBound(0);
}
