import { resolve } from 'node:path';
import type { Call } from '../../store/call.ts';
import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument, StrataError } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { BlockingPrimitives, CommitOutcome, Write } from '../../store/primitives.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { type PrimitivesWithBlocking, withCodec } from '../../store/with-codec.ts';
import { MEMORY_PATH } from './open-database.ts';
import { openStore, type SqliteStore } from './open-store.ts';

/** Options of `sqlite`. */
export interface SqliteOptions {
  /** A file, made with its folder where missing, or `':memory:'`. */
  readonly path: string;
  /**
   * `'disk'`: a write is acknowledged once it is flushed, and survives power loss. `'os'`: once the
   * operating system has it; it survives a crash of the process, and is several times faster.
   * Default `'disk'`; in memory always `'memory'`.
   */
  readonly durability?: 'os' | 'disk';
  /** Opens an existing store for reading; writes fail with `denied`. Default false. */
  readonly readonly?: boolean;
  /** Bound of the file, in bytes, within one page: writes beyond it fail with `no-space`. Default none. */
  readonly maxBytes?: number;
  /** How often commits of other processes are looked for while a watch waits, in ms; default 20. */
  readonly pollMs?: number;
  /** Bound of this process's log of whole commits, in bytes; default 4 MiB. */
  readonly logBytes?: number;
  /** How long deletes are remembered for readers that resume, in ms; default 7 days. */
  readonly tombstoneMs?: number;
  /** Bound of what is remembered of deletes, in bytes; default 64 MiB. */
  readonly tombstoneBytes?: number;
  /** From how many of the last commits a reader can resume; default 1,000,000. */
  readonly commitsKept?: number;
  /** Bound of calls that name none, and of the wait for another process's write in blocking calls, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

const RULES: OptionRules = {
  path: is.text,
  codec: is.codec,
  durability: is.oneOf('os', 'disk'),
  readonly: is.boolean,
  maxBytes: is.positive,
  pollMs: is.durationMs,
  logBytes: is.count,
  tombstoneMs: is.durationMs,
  tombstoneBytes: is.count,
  commitsKept: is.positive,
  timeoutMs: is.durationMs,
  env: is.object,
};

/** SQLite's own bound of a row, less what stands in it beside the value. */
const MAX_VALUE_BYTES = 999_900_000;

/**
 * A store in a SQLite file, by `node:sqlite`: atomic batches, conditional writes, expiry, a feed,
 * and synchronous use. Several processes may open one path and see each other's commits in their
 * watch. Commits that arrive together share one transaction and its flush.
 *
 * Errors at opening: `invalid-argument` for a path that is no store, `denied`, `corrupt`,
 * `no-space`, `unsupported` for a newer format, `timeout` where another process keeps it locked.
 *
 * ```ts
 * const store = sqlite({ path: './data/app.db', codec: json<{ name: string }>() });
 * await store.set('user:1', { name: 'Ada' });
 * ```
 */
export function sqlite<V>(
  options: SqliteOptions & { readonly codec: Codec<V> },
): StoreWithBlocking<V>;
export function sqlite(options: SqliteOptions): StoreWithBlocking<Uint8Array>;
export function sqlite<V>(
  options: SqliteOptions & { readonly codec?: Codec<V> },
): StoreWithBlocking<V> | StoreWithBlocking<Uint8Array> {
  checkOptions('sqlite', options, RULES, ['path']);
  const { codec } = options;
  const primitives = toPrimitives(options);
  return codec === undefined ? defineStore(primitives) : defineStore(withCodec(primitives, codec));
}

function toPrimitives(options: SqliteOptions): PrimitivesWithBlocking<Uint8Array> {
  const { readonly = false, timeoutMs = 5_000, env = systemEnv } = options;
  const inMemory = options.path === MEMORY_PATH;
  if (inMemory && options.durability !== undefined)
    throw invalidArgument(
      'sqlite',
      'the option durability',
      options.durability,
      `none with ${MEMORY_PATH}, of which nothing survives`,
    );
  const path = inMemory ? MEMORY_PATH : resolve(options.path);
  const durability = inMemory ? 'memory' : (options.durability ?? 'disk');
  const store = openStore({ ...options, path, durability, readonly, timeoutMs, env });
  const { engine, feed } = store;
  return {
    shape: {
      type: 'sqlite',
      details: { path, ...(readonly && { readonly }), ...(durability === 'os' && { durability }) },
    },
    capabilities: Object.freeze({
      durability,
      atomic: 'batch',
      conditional: 'all',
      feed: true,
      ttl: true,
      blocking: true,
      maxKeyBytes: 512,
      maxValueBytes: MAX_VALUE_BYTES,
    }),
    env,
    timeoutMs,
    checkValue,
    readOne: (key, call) => engine.readOne(call.operation, key),
    readValue: (key, call) => engine.readValue(call.operation, key),
    readMany: (keys, call) => engine.readMany(call.operation, keys),
    scan: (range, call) => engine.scanPages(range, call),
    scanKeys: (range, call) => engine.scanKeyPages(range, call),
    commit: (writes, call) => commit(store, writes, call),
    feed,
    blocking: toBlocking(store),
    close: () => store.close(),
  };
}

async function commit(
  store: SqliteStore,
  writes: readonly Write<Uint8Array>[],
  call: Call,
): Promise<CommitOutcome> {
  return writer(store, call.operation).queue.add(writes, call);
}

function toBlocking(store: SqliteStore): BlockingPrimitives<Uint8Array> {
  const { engine } = store;
  return {
    readOne: (key) => engine.readOne('get', key),
    readValue: (key) => engine.readValue('get', key),
    *scan(range) {
      for (const page of engine.scan('list', range)) yield* page;
    },
    *scanKeys(range) {
      for (const page of engine.scanKeys('keys', range)) yield* page;
    },
    commit: (writes, operation) => writer(store, operation).commits.runNow(operation, writes),
    state: () => engine.state('cursor'),
  };
}

function writer(store: SqliteStore, operation: string): NonNullable<SqliteStore['writer']> {
  if (store.writer !== undefined) return store.writer;
  throw new StrataError('denied', `${operation}: ${store.engine.path} is opened for reading only`, {
    operation,
  });
}

function checkValue(operation: string, key: string, value: Uint8Array): void {
  if (!(value instanceof Uint8Array))
    throw invalidArgument(
      operation,
      'the value',
      value,
      'a Uint8Array (or give the store a codec)',
      key,
    );
}
