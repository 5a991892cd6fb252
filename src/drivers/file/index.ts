import { resolve } from 'node:path';
import type { Call } from '../../store/call.ts';
import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import { failure, invalidArgument } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { BlockingPrimitives, CommitOutcome, Write } from '../../store/primitives.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { type PrimitivesWithBlocking, withCodec } from '../../store/with-codec.ts';
import { type Disk, systemDisk } from './disk.ts';
import { limited } from './engine.ts';
import { type FileStore, openStore } from './open-store.ts';

/** Options of `file`. */
export interface FileOptions {
  /** A folder, made where missing. It must be on a local disk, and hold nothing else. */
  readonly path: string;
  /**
   * `'disk'`: a write is acknowledged once it is flushed, and survives power loss. `'os'`: once the
   * operating system has it; it survives a crash of the process, and is several times faster.
   * Default `'disk'`.
   */
  readonly durability?: 'os' | 'disk';
  /** Opens an existing store for reading, beside the process that writes; writes fail with `denied`. Default false. */
  readonly readonly?: boolean;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

const RULES: OptionRules = {
  path: is.text,
  codec: is.codec,
  durability: is.oneOf('os', 'disk'),
  readonly: is.boolean,
  timeoutMs: is.durationMs,
  env: is.object,
};

const MAX_VALUE_BYTES: number = 2 ** 30;
/** A shard's names are held while it is listed, and moved in one go when it is split. */
const SHARD_FILES = 1_024;

/**
 * A store of one file a key, in a folder: written beside, flushed and put in place by a rename, so
 * that a reader meets the old file or the new one, whole. Conditional writes, expiry, metadata and
 * synchronous use; each write of a batch stands alone (`atomic` is `'key'`), and there is no feed
 * (`watchable` gives one). One process writes, any number read (`readonly`) and see what it wrote.
 *
 * Errors at opening: `conflict` naming the process that writes, `invalid-argument` for a folder that
 * is something else, `denied`, `no-space`, `corrupt`, `unsupported` for a newer format. A batch that
 * fails in its midst names the keys that were written in `details.applied`. After a failed flush
 * nothing more is written (`unavailable`) until the store is opened again.
 *
 * ```ts
 * const store = file({ path: './data', codec: json<{ name: string }>() });
 * await store.set('user:1', { name: 'Ada' });
 * ```
 */
export function file<V>(options: FileOptions & { readonly codec: Codec<V> }): StoreWithBlocking<V>;
export function file(options: FileOptions): StoreWithBlocking<Uint8Array>;
export function file<V>(
  options: FileOptions & { readonly codec?: Codec<V> },
): StoreWithBlocking<V> | StoreWithBlocking<Uint8Array> {
  checkOptions('file', options, RULES, ['path']);
  const { codec } = options;
  const primitives = toPrimitives(options);
  return codec === undefined ? defineStore(primitives) : defineStore(withCodec(primitives, codec));
}

/** As `file`, over a given file system and with shards of a given size; for tests. */
export function toPrimitives(
  options: FileOptions,
  disk: Disk = systemDisk,
  shardFiles: number = SHARD_FILES,
): PrimitivesWithBlocking<Uint8Array> {
  const { readonly = false, durability = 'disk', timeoutMs = 5_000, env = systemEnv } = options;
  const path = resolve(options.path);
  const flush = durability === 'disk';
  const store = openStore({ path, readonly, flush, env, disk, shardFiles });
  const { engine } = store;
  return {
    shape: {
      type: 'file',
      details: { path, ...(readonly && { readonly }), ...(!flush && { durability }) },
    },
    capabilities: Object.freeze({
      durability,
      atomic: 'key',
      conditional: 'all',
      feed: false,
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
    blocking: toBlocking(store),
    close: () => store.close(),
  };
}

async function commit(
  store: FileStore,
  writes: readonly Write<Uint8Array>[],
  call: Call,
): Promise<CommitOutcome> {
  return writer(store, call.operation).queue.add(writes, call);
}

function toBlocking(store: FileStore): BlockingPrimitives<Uint8Array> {
  const { engine } = store;
  return {
    readOne: (key) => engine.readOne('get', key),
    readValue: (key) => engine.readValue('get', key),
    *scan(range) {
      for (const page of limited(engine.scan('list', range), range.limit)) yield* page;
    },
    *scanKeys(range) {
      for (const page of limited(engine.scanKeys('keys', range), range.limit)) yield* page;
    },
    commit: (writes, operation) => writer(store, operation).commits.runNow(operation, writes),
  };
}

function writer(store: FileStore, operation: string): NonNullable<FileStore['writer']> {
  if (store.writer !== undefined) return store.writer;
  const { root } = store.engine.layout.places;
  throw failure('denied', operation, `${root} is opened for reading only`);
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
