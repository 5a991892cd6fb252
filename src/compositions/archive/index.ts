import { type Seal, seal as sealOf } from '../../layers/sealed/seal.ts';
import { failure, invalidArgument } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { ReadonlyStore } from '../../store/readonly-store.ts';
import type { Store } from '../../store/store.ts';
import { ColdObjects } from './cold-objects.ts';
import { ColdOwner } from './cold-owner.ts';
import type { EvictResult } from './evictor.ts';
import { type HotKey, type Named, named } from './hot-key.ts';
import { keepHotKeys } from './hot-keys-of.ts';
import type { FailedKey, HotSide, HotStats } from './hot-side.ts';
import { Rebuilder, type RebuildOptions, type RebuildResult } from './rebuild.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisTransaction } from './redis-transaction.ts';
import { Returner } from './returner.ts';
import { type StoreKeys, storeKeys } from './store/store-keys.ts';
import { Verifier, type VerifyOptions, type VerifyResult } from './verify.ts';
import type { ArchiveWorker, WorkerOptions } from './worker.ts';
import { type Done, type DrainResult, Workers } from './workers.ts';

export type { EvictResult } from './evictor.ts';
export type { KeyFailure } from './failure-list.ts';
export type { RetryDelays } from './freezer.ts';
export type { HotKey } from './hot-key.ts';
export type { FailCause, FailedKey, KeptReason } from './hot-side.ts';
export type { ValueForm } from './logical/taken.ts';
export type { RebuildOptions, RebuildProgress, RebuildResult } from './rebuild.ts';
export {
  type RedisKeys,
  type RedisKeysClient,
  type RedisKeysOptions,
  redisKeys,
} from './redis-keys.ts';
export type {
  IoRedisTransaction,
  NodeRedisTransaction,
  RedisTransaction,
} from './redis-transaction.ts';
export { type StoreKeys, type StoreKeysOptions, storeKeys } from './store/store-keys.ts';
export type {
  Difference,
  KeyDifference,
  VerifyOptions,
  VerifyProgress,
  VerifyResult,
} from './verify.ts';
export type { ArchiveWorker, WorkerOptions } from './worker.ts';
export type { ArchiveEvent, WorkerStats } from './worker-events.ts';
export type { DrainResult } from './workers.ts';

/** Options of `archive`. */
export interface ArchiveOptions {
  /** `redisKeys(client)`, or a store: `storeKeys(store)` with its defaults. */
  readonly hot: RedisKeys | StoreKeys | ReadonlyStore<never> | ReadonlyStore<unknown>;
  /** Any store of bytes with conditional writes. Its durability is that of everything that is evicted. */
  readonly cold: Store<Uint8Array>;
  /** How objects are sealed; default a checksum only, values up to 64 MiB. Gets the cold key and the namespace as its context. */
  readonly seal?: Seal;
  /** Idle time after which `evictIdle` evicts a key, in ms; Redis counts it in seconds. Without it there is no `evictIdle`. */
  readonly evictAfterMs?: number;
  /** Time after which a mark that was taken is taken by another worker, in ms; default 60,000. */
  readonly leaseMs?: number;
  /** Least time between two freezes of a key that is marked again while it is frozen, in ms; default 1,000. */
  readonly throttleMs?: number;
  /** Keys that are worked on at once; default 16. */
  readonly concurrency?: number;
  /** Bound of each call of the cold store, in ms; default 30,000. */
  readonly coldTimeoutMs?: number;
}

/** What `stats` tells: how the archive stands, and what this object of it did since it was made. */
export interface ArchiveStats extends HotStats, Done {}

/**
 * An archive. See `archive`.
 *
 * Errors of all calls, beside those that they name: `invalid-argument` for keys outside of the prefix,
 * the archive's own, and a server that is refused (see `redisKeys`); of the hot side `unavailable`
 * and `timeout` where the step was not taken, `unknown-outcome` where it may have been (to be called
 * again), `no-space`, `denied` and `closed`. Of the cold store `ensure`, `forget`, `evict` and
 * `evictIdle` pass on what it failed with; `drain` tells it in its result. It is `denied` where the
 * objects there are those of another hot side, or of this one before it was emptied.
 */
export interface Archive {
  /** Marks keys that were written. Keys that do not exist are refused with `invalid-argument`, after the others were marked. */
  dirty(...keys: HotKey[]): Promise<void>;
  /**
   * Marks keys within a transaction that the caller has begun by `multi()` of ioredis or node-redis
   * and ends by `exec()`: they are marked if and only if it is carried out. They need not exist;
   * those that it deletes, or that are not there, are deleted from the cold store too, if they were
   * not evicted. The command's answer, among those of `exec()`, is the places in `keys`, from 1, of
   * keys that are evicted and were not there at that point of the transaction: write them only after
   * `ensure`. To be called after the commands that write. Keys are meant as `dirty` means them,
   * whatever prefix the client puts before its own.
   * Errors: `invalid-argument`; `unsupported` where the hot side is not one Redis server.
   */
  dirtyAtomically(transaction: RedisTransaction, keys: readonly HotKey[]): void;
  /**
   * Brings back what was evicted and restarts the idle time of all. Keys that are neither in Redis
   * nor evicted count as deleted, and are no error. When a key cannot be brought back, the others
   * are, and the error names it: `data-missing`, `corrupt`, `unavailable`, `unsupported`.
   */
  ensure(...keys: HotKey[]): Promise<void>;
  /**
   * Deletes keys in Redis and the cold store; gives how many there were, evicted ones included, also
   * those whose own expiry has passed since. When the cold store fails
   * they are deleted nevertheless and never come back; `drain` finishes it.
   */
  forget(...keys: HotKey[]): Promise<number>;
  /** Evicts keys now, however recently they were used, if what the cold store has is what Redis has. */
  evict(...keys: HotKey[]): Promise<EvictResult>;
  /**
   * Evicts every key that was idle for `evictAfterMs`; marks those that are not in the cold store as
   * they are. Fails with `unsupported` where the archive has no `evictAfterMs`.
   */
  evictIdle(): Promise<EvictResult>;
  /**
   * Freezes what is marked and due, until nothing is, or the cold store is found to be away. Any
   * number of processes may do so at once.
   */
  drain(): Promise<DrainResult>;
  /**
   * Drains and evicts in the background, in this process; any number of workers in any number of
   * processes share the work. What fails is tried again for as long as it takes, beside what is
   * new, and neither holds up the other.
   */
  worker(options?: WorkerOptions): ArchiveWorker;
  /** Keys that could not be frozen, why, and when they are tried again, those first that are next; at most so many, default 1,000. */
  failed(most?: number): Promise<readonly FailedKey[]>;
  /**
   * Makes the records of evicted keys anew, by listing the cold store: for Redis that lost them, or
   * lost all. A key whose object is no tombstone, is not over, and that is neither in Redis nor
   * marked is recorded as evicted; with `restore` each is brought back. What was forgotten stays
   * away; what was deleted otherwise, and was in the cold store, comes back. May run beside workers.
   * When it has ended the cold store belongs to this hot side, and another one is `denied` it; where
   * it belonged to another before, nobody freezes until then, and until it is run again if it fails.
   * Errors: `unsupported` where the hot side has no such steps; `aborted`; those of the cold store
   * and of Redis, after which it can be run again. Objects that do not open are told in the result.
   */
  rebuildIndex(options?: RebuildOptions): Promise<RebuildResult>;
  /**
   * Compares Redis with the cold store, and changes nothing; but the idle time of keys that it reads
   * begins anew. May run beside workers. Errors as those of `rebuildIndex`.
   */
  verify(options?: VerifyOptions): Promise<VerifyResult>;
  stats(): Promise<ArchiveStats>;
  /** Stops the workers and ends the connection to Redis; the cold store stays open, as does a hot one. */
  close(): Promise<void>;
}

const isSide = (v: unknown): v is RedisKeys | StoreKeys =>
  (v as Partial<RedisKeys> | null)?.side !== undefined;
const RULES: OptionRules = {
  hot: {
    expected: 'redisKeys(client), or a store',
    accepts: (v) => isSide(v) || is.store.accepts(v),
  },
  cold: is.store,
  seal: {
    expected: 'a seal, such as seal({ compress: gzip() })',
    accepts: (v) => typeof (v as Partial<Seal> | null)?.thaw === 'function',
  },
  evictAfterMs: is.durationMs,
  leaseMs: is.durationMs,
  throttleMs: is.count,
  concurrency: is.positive,
  coldTimeoutMs: is.durationMs,
};
const CHUNK_KEYS = 1_000;

/**
 * Keeps idle keys of a Redis in a cold store, and brings them back. The application marks what it
 * writes (`dirty`), asks for what it needs (`ensure`), and deletes by `forget`; a `worker` does the
 * rest.
 *
 * A key is evicted only when the cold store has what Redis has at that moment, expiry included;
 * a restore never replaces anything and never brings back an older value; a key that was forgotten
 * or has expired stays away. Write an evicted key only after `ensure`, and delete it by `forget`:
 * Redis does not know of it.
 *
 * ```ts
 * const safe = archive({ hot: redisKeys(new Redis()), cold: file({ path: './cold' }), evictAfterMs: 86_400_000 });
 * await safe.ensure('user:1');
 * await client.hset('user:1', 'name', 'Ada');
 * await safe.dirty('user:1');
 * ```
 */
export function archive(options: ArchiveOptions): Archive {
  checkOptions('archive', options, RULES, ['hot', 'cold']);
  const { conditional } = options.cold.capabilities;
  if (conditional !== 'all' && conditional !== 'set')
    throw failure('unsupported', 'archive', 'the cold store has no conditional writes');
  const hot = isSide(options.hot) ? options.hot : storeKeys(options.hot);
  if ('store' in hot && hot.store === options.cold && reachesObjects(hot))
    throw invalidArgument(
      'archive',
      'cold',
      options.cold,
      'another store than the hot one, or a prefix of hot keys that its objects do not have: they would be evicted themselves',
    );
  return keepHotKeys(new HotArchive({ ...options, hot }), options.hot);
}

/** Whether names of cold objects are among the keys that are archived. */
function reachesObjects({ prefix, namespace }: StoreKeys): boolean {
  return `${namespace}/`.startsWith(prefix) || prefix.startsWith(`${namespace}/`);
}

class HotArchive implements Archive {
  readonly #hot: HotSide;
  readonly #workers: Workers;
  readonly #returner: Returner;
  readonly #objects: ColdObjects;
  readonly #owner: ColdOwner;
  readonly #concurrency: number;

  constructor(options: ArchiveOptions & { readonly hot: RedisKeys | StoreKeys }) {
    const { hot, cold, seal = sealOf(), concurrency = 16, leaseMs = 60_000 } = options;
    this.#hot = hot.side;
    const { coldTimeoutMs = 30_000 } = options;
    this.#owner = new ColdOwner(cold, this.#hot, coldTimeoutMs);
    const objects = new ColdObjects(cold, seal, this.#hot.namespace, coldTimeoutMs, this.#owner);
    this.#objects = objects;
    this.#concurrency = concurrency;
    this.#workers = new Workers(this.#hot, objects, {
      leaseMs,
      concurrency,
      throttleMs: options.throttleMs ?? 1_000,
      evictAfterMs: options.evictAfterMs,
      retry: { firstMs: 1_000, mostMs: 60_000 },
    });
    this.#returner = new Returner(this.#hot, objects, concurrency);
  }

  async dirty(...keys: HotKey[]): Promise<void> {
    const list = named('dirty', keys, this.#hot);
    const missing: string[] = [];
    for (const chunk of chunks(list)) {
      const gone = await this.#hot.mark('dirty', chunk);
      missing.push(...gone.map(({ shown }) => shown));
    }
    if (missing.length > 0)
      throw failure(
        'invalid-argument',
        'dirty',
        `not in ${this.#hot.title}: ${missing.map((key) => JSON.stringify(key)).join(', ')}; expected keys that were written (forget() deletes)`,
        { key: missing[0], details: { missing } },
      );
  }

  dirtyAtomically(transaction: RedisTransaction, keys: readonly HotKey[]): void {
    const list = named('dirtyAtomically', keys, this.#hot);
    if (this.#hot.markWithin === undefined)
      throw failure(
        'unsupported',
        'dirtyAtomically',
        `${this.#hot.title} has no transactions that keys could be marked in`,
      );
    this.#hot.markWithin(transaction, list);
  }

  async ensure(...keys: HotKey[]): Promise<void> {
    await this.#returner.ensure('ensure', named('ensure', keys, this.#hot));
  }

  async forget(...keys: HotKey[]): Promise<number> {
    const list = named('forget', keys, this.#hot);
    let known = 0;
    for (const chunk of chunks(list)) known += await this.#hot.forget('forget', chunk);
    await this.#workers.workOff('forget', list);
    return known;
  }

  async evict(...keys: HotKey[]): Promise<EvictResult> {
    return this.#workers.evictor.evict('evict', named('evict', keys, this.#hot), 0);
  }

  async evictIdle(): Promise<EvictResult> {
    return this.#workers.evictor.evictIdle('evictIdle');
  }

  async drain(): Promise<DrainResult> {
    return this.#workers.drain('drain');
  }

  async rebuildIndex(options?: RebuildOptions): Promise<RebuildResult> {
    const parts = { hot: this.#hot, cold: this.#objects, owner: this.#owner };
    return new Rebuilder(parts, this.#returner, this.#concurrency).run(options);
  }

  async verify(options?: VerifyOptions): Promise<VerifyResult> {
    return new Verifier(this.#hot, this.#objects, this.#concurrency).run(options);
  }

  async stats(): Promise<ArchiveStats> {
    return { ...(await this.#hot.stats('stats')), ...this.#workers.done };
  }

  worker(options: WorkerOptions = {}): ArchiveWorker {
    return this.#workers.worker(options);
  }

  async failed(most = 1_000): Promise<readonly FailedKey[]> {
    if (!is.positive.accepts(most))
      throw invalidArgument('failed', 'most', most, is.positive.expected);
    return this.#hot.failed('failed', most);
  }

  async close(): Promise<void> {
    await this.#workers.stop();
    await this.#hot.close();
  }
}

function* chunks(keys: readonly Named[]): Generator<readonly Named[]> {
  for (let at = 0; at < keys.length; at += CHUNK_KEYS) yield keys.slice(at, at + CHUNK_KEYS);
}
