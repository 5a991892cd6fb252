import type { Eviction } from '../../kernel/eviction.ts';
import { cloneValue } from '../../store/clone.ts';
import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { BlockingPrimitives, Primitives } from '../../store/primitives.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { MemoryEngine } from './engine.ts';

/** With `evict`: the log would keep the values that were evicted, and hardly anybody follows a cache. */
const EVICTING_LOG_BYTES = 0;
const EVICTING_TOMBSTONE_BYTES = 1024 * 1024;

/** Options of `memory`. */
export interface MemoryOptions<V = unknown> {
  /**
   * Hands values in and out by reference instead of copying them: several times faster, and a
   * caller that changes a value changes the store. Default false.
   */
  readonly zeroCopy?: boolean;
  /** How values become bytes when the store is replicated; byte arrays need none. */
  readonly codec?: Codec<V>;
  /**
   * Makes the store a cache within bounds: `lru({ maxEntries, maxBytes })` of `stratakv/lru`. What
   * goes is deleted by a commit of its own, right after the one that went beyond the bounds.
   * Default: no bound.
   */
  readonly evict?: Eviction;
  /** Bound of the log of whole commits, in bytes; default 4 MiB, with `evict` 0. */
  readonly logBytes?: number;
  /** How long deletes are remembered for readers that resume, in ms; default 7 days. */
  readonly tombstoneMs?: number;
  /** Bound of what is remembered of deletes, in bytes; default 8 MiB, with `evict` 1 MiB. */
  readonly tombstoneBytes?: number;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

const RULES = {
  zeroCopy: is.boolean,
  codec: is.codec,
  evict: {
    expected: 'a bound, such as lru({ maxEntries: 10000 })',
    accepts: (v: unknown) => typeof (v as { bound?: unknown } | null)?.bound === 'function',
  },
  logBytes: is.count,
  tombstoneMs: is.durationMs,
  tombstoneBytes: is.count,
  timeoutMs: is.durationMs,
  env: is.object,
};

/**
 * A store in the memory of this process: any structured-cloneable values, atomic batches,
 * conditional writes, expiry, a feed, and synchronous use. Nothing survives the process.
 *
 * Values are copied on the way in and out unless `zeroCopy` is set.
 *
 * ```ts
 * const store = memory<{ name: string }>();
 * await store.set('user:1', { name: 'Ada' });
 * ```
 */
export function memory<V = unknown>(options: MemoryOptions<V> = {}): StoreWithBlocking<V> {
  checkOptions('memory', options, RULES);
  const env = options.env ?? systemEnv;
  const { evict } = options;
  const engine = new MemoryEngine<V>(env, evict === undefined ? options : kept(options));
  const bounded = evict?.bound(engine);
  if (bounded !== undefined) engine.onSwept = (key) => bounded.swept(key);
  const held = bounded ?? engine;
  const commit: Primitives<V>['commit'] = (writes, call) => held.commit(call.operation, writes);
  const details = { ...(options.zeroCopy === true && { zeroCopy: true }), ...evict?.details };
  const primitives: Primitives<V> & { readonly blocking: BlockingPrimitives<V> } = {
    shape: { type: 'memory', ...(Object.keys(details).length > 0 && { details }) },
    capabilities: Object.freeze({
      durability: 'memory',
      atomic: 'batch',
      conditional: 'all',
      feed: true,
      ttl: true,
      blocking: true,
      maxKeyBytes: 512,
      ...(bounded && { evicts: true as const }),
    }),
    env,
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    ...(options.codec !== undefined && { codec: options.codec }),
    ...(options.zeroCopy !== true && { guard: cloneValue }),
    peek: (key) => held.peek(key),
    readOne: (key) => held.readOne(key),
    readValue: (key) => held.peek(key),
    readMany: (keys) => keys.map((key) => held.readOne(key)),
    scan: (range, call) => engine.scanPages(range, call),
    scanKeys: (range, call) => engine.scanKeyPages(range, call),
    commit,
    ...(bounded === undefined && {
      packed: {
        of: commit,
        commit: (sets, last, call) => engine.commitPacked(call.operation, sets, last),
      },
    }),
    feed: engine,
    blocking: {
      readOne: (key) => held.readOne(key),
      readValue: (key) => held.peek(key),
      scan: (range) => engine.scan(range),
      scanKeys: (range) => engine.scanKeys(range),
      commit: (writes, operation) => held.commit(operation, writes),
      state: () => engine.state(),
    },
    ...(bounded && { evictOnlyCached: () => bounded.evictOnlyCached() }),
    close: async () => {
      engine.close();
      bounded?.close();
    },
  };
  return defineStore(primitives);
}

/** What an evicting store keeps for readers of its feed. */
function kept<V>(options: MemoryOptions<V>): MemoryOptions<V> {
  const { logBytes = EVICTING_LOG_BYTES, tombstoneBytes = EVICTING_TOMBSTONE_BYTES } = options;
  return { ...options, logBytes, tombstoneBytes };
}
