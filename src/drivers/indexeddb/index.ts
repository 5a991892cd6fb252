import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { IndexedDbEngine } from './engine.ts';

const DAY_MS = 86_400_000;

/** What `indexeddb` takes. */
export interface IndexedDbOptions<V = unknown> {
  /** Name of the database; tabs of one origin that give the same share it. */
  readonly name: string;
  /**
   * `'disk'`: a write is acknowledged when it is on disk, and survives power loss. `'os'`: when the
   * operating system has it; faster for many single writes, and after a loss of power the store
   * begins a new epoch, because its last commits may be gone. Default `'disk'`.
   */
  readonly durability?: 'os' | 'disk';
  /** How values become bytes when the store is replicated; byte arrays need none. */
  readonly codec?: Codec<V>;
  /** How long a call waits for the database to open, in ms; default 4,000. */
  readonly openTimeoutMs?: number;
  /** How often watchers look for commits of other tabs that did not announce them, in ms; default 5,000. */
  readonly pollMs?: number;
  /** Bound of the log of whole commits, in bytes of memory; default 4 MiB. */
  readonly logBytes?: number;
  /** How long deletes are remembered for readers that resume, in ms; default 7 days. */
  readonly tombstoneMs?: number;
  /** Bound of what is remembered of deletes, in bytes; default 8 MiB. */
  readonly tombstoneBytes?: number;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

const RULES = {
  name: is.text,
  durability: is.oneOf('os', 'disk'),
  codec: is.codec,
  openTimeoutMs: is.durationMs,
  pollMs: is.durationMs,
  logBytes: is.count,
  tombstoneMs: is.durationMs,
  tombstoneBytes: is.count,
  timeoutMs: is.durationMs,
  env: is.object,
};

/**
 * A store in the browser's IndexedDB: any structured-cloneable values, atomic batches, conditional
 * writes, expiry, and a feed that also tells what other tabs write. The database is opened at the
 * first call; commits made at the same time share a transaction.
 *
 * Errors of any call, beside the usual: `unavailable` when another tab keeps the database from
 * opening or a newer version of the library has upgraded it, `no-space` when the quota is used up,
 * `denied` where the browser allows no storage, `invalid-argument` when the database belongs to
 * another program. A database that is deleted while in use comes back empty, in a new epoch.
 *
 * ```ts
 * const store = indexeddb<{ name: string }>({ name: 'people' });
 * await store.set('user:1', { name: 'Ada' });
 * ```
 */
export function indexeddb<V = unknown>(options: IndexedDbOptions<V>): Store<V> {
  checkOptions('indexeddb', options, RULES, ['name']);
  const { name, env = systemEnv, codec, timeoutMs } = options;
  const relaxed = options.durability === 'os' || !canBeStrict();
  const engine = new IndexedDbEngine<V>({
    name,
    env,
    relaxed,
    openTimeoutMs: options.openTimeoutMs ?? 4_000,
    pollMs: options.pollMs ?? 5_000,
    logBytes: options.logBytes,
    tombstoneMs: options.tombstoneMs ?? 7 * DAY_MS,
    tombstoneBytes: options.tombstoneBytes ?? 8 * 1024 * 1024,
  });
  return defineStore({
    shape: { type: 'indexeddb', details: { name, durability: relaxed ? 'os' : 'disk' } },
    capabilities: Object.freeze({
      durability: relaxed ? 'os' : 'disk',
      atomic: 'batch',
      conditional: 'all',
      feed: true,
      ttl: true,
      blocking: false,
      maxKeyBytes: 512,
    }),
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(codec !== undefined && { codec }),
    readOne: (key, call) => engine.readOne(key, call),
    readValue: (key, call) => engine.readValue(key, call),
    readMany: (keys, call) => engine.readMany(keys, call),
    scan: (range, call) => engine.scan(range, call),
    scanKeys: (range, call) => engine.scanKeys(range, call),
    commit: (writes, call) => engine.commit(writes, call),
    commitPages: (pages, call) => engine.commitPages(pages, call),
    feed: engine.feed,
    close: () => engine.close(),
  });
}

/** Older browsers always answer before a write is on disk. */
function canBeStrict(): boolean {
  return typeof IDBTransaction === 'undefined' || 'durability' in IDBTransaction.prototype;
}
