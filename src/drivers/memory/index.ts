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

/** Options of `memory`. */
export interface MemoryOptions<V = unknown> {
  /**
   * Hands values in and out by reference instead of copying them: several times faster, and a
   * caller that changes a value changes the store. Default false.
   */
  readonly zeroCopy?: boolean;
  /** How values become bytes when the store is replicated; byte arrays need none. */
  readonly codec?: Codec<V>;
  /** Bound of the log of whole commits, in bytes; default 4 MiB. */
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
  zeroCopy: is.boolean,
  codec: is.codec,
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
  const engine = new MemoryEngine<V>(env, options);
  const primitives: Primitives<V> & { readonly blocking: BlockingPrimitives<V> } = {
    shape: { type: 'memory', ...(options.zeroCopy === true && { details: { zeroCopy: true } }) },
    capabilities: Object.freeze({
      durability: 'memory',
      atomic: 'batch',
      conditional: 'all',
      feed: true,
      ttl: true,
      blocking: true,
      maxKeyBytes: 512,
    }),
    env,
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    ...(options.codec !== undefined && { codec: options.codec }),
    ...(options.zeroCopy !== true && { guard: cloneValue }),
    peek: (key) => engine.peek(key),
    readOne: (key) => engine.readOne(key),
    readValue: (key) => engine.peek(key),
    readMany: (keys) => keys.map((key) => engine.readOne(key)),
    scan: (range, call) => engine.scanPages(range, call),
    scanKeys: (range, call) => engine.scanKeyPages(range, call),
    commit: (writes, call) => engine.commit(call.operation, writes),
    feed: engine,
    blocking: {
      readOne: (key) => engine.readOne(key),
      readValue: (key) => engine.peek(key),
      scan: (range) => engine.scan(range),
      scanKeys: (range) => engine.scanKeys(range),
      commit: (writes, operation) => engine.commit(operation, writes),
      state: () => engine.state(),
    },
    close: async () => engine.close(),
  };
  return defineStore(primitives);
}
