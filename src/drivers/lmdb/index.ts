import { resolve } from 'node:path';
import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument, StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { BlockingPrimitives } from '../../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { type PrimitivesWithBlocking, withCodec } from '../../store/with-codec.ts';
import { type LmdbStore, openStore } from './open-store.ts';
import { scanEntries, scanKeys } from './scan.ts';

/** Options of `lmdb`. */
export interface LmdbOptions {
  /** A folder, made where missing. */
  readonly path: string;
  /**
   * `'disk'`: a write is acknowledged once it is flushed, and survives power loss. `'os'`: it
   * survives a crash of the process; power loss may take the last commits. Default `'disk'`.
   * One process opens a path with one durability.
   */
  readonly durability?: 'os' | 'disk';
  /** Opens an existing store for reading; writes fail with `denied`. Default false. */
  readonly readonly?: boolean;
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
  pollMs: is.durationMs,
  logBytes: is.count,
  tombstoneMs: is.durationMs,
  tombstoneBytes: is.count,
  commitsKept: is.positive,
  timeoutMs: is.durationMs,
  env: is.object,
};

const MAX_VALUE_BYTES: number = 2 ** 30;

/**
 * A store in a folder, by LMDB (npm `lmdb`): atomic batches, conditional writes, expiry, a feed,
 * and synchronous use. Several processes may open one path, write at once, and see each other's
 * commits in their watch. Commits that arrive together share one transaction and its flush.
 *
 * Errors at opening: `invalid-argument` for a path that is no store, `denied`, `corrupt`,
 * `no-space`, `unsupported` for a newer format, `conflict` where this process has the path open in
 * a way that excludes this one.
 *
 * ```ts
 * const store = lmdb({ path: './data', codec: json<{ name: string }>() });
 * await store.set('user:1', { name: 'Ada' });
 * ```
 */
export function lmdb<V>(options: LmdbOptions & { readonly codec: Codec<V> }): StoreWithBlocking<V>;
export function lmdb(options: LmdbOptions): StoreWithBlocking<Uint8Array>;
export function lmdb<V>(
  options: LmdbOptions & { readonly codec?: Codec<V> },
): StoreWithBlocking<V> | StoreWithBlocking<Uint8Array> {
  checkOptions('lmdb', options, RULES, ['path']);
  const { codec } = options;
  const primitives = toPrimitives(options);
  return codec === undefined ? defineStore(primitives) : defineStore(withCodec(primitives, codec));
}

const opened = new WeakMap<object, LmdbStore>();

/**
 * Compacts the change index of a store made by `lmdb`, which otherwise happens in the background:
 * resolves when it has one record a key, tombstones included.
 */
export async function compact(store: Store<never> | Store<unknown>): Promise<void> {
  const primitives = primitivesOf(store as Store<unknown>, 'compact');
  const found = opened.get(primitives.bytes ?? primitives);
  if (found === undefined)
    throw invalidArgument('compact', 'the store', store, 'a store made by lmdb');
  await writerOf(found, 'compact').caretaker.compact();
}

function toPrimitives(options: LmdbOptions): PrimitivesWithBlocking<Uint8Array> {
  const { readonly = false, durability = 'disk', timeoutMs = 5_000, env = systemEnv } = options;
  const path = resolve(options.path);
  const store = openStore({ ...options, path, durability, readonly, timeoutMs, env });
  const { reader, feed } = store;
  const primitives: PrimitivesWithBlocking<Uint8Array> = {
    shape: {
      type: 'lmdb',
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
    readOne: (key, { operation }) => reader.run(operation, () => reader.entry(key)),
    readValue: (key, { operation }) => reader.run(operation, () => reader.value(key)),
    readMany: (keys, { operation }) =>
      reader.run(operation, () => keys.map((key) => reader.entry(key))),
    async *scan(range, call) {
      for (const page of scanEntries(reader, call.operation, range)) {
        call.throwIfEnded();
        yield page;
      }
    },
    async *scanKeys(range, call) {
      for (const page of scanKeys(reader, call.operation, range)) {
        call.throwIfEnded();
        yield page;
      }
    },
    commit: async (writes, call) => writerOf(store, call.operation).committer.commit(writes, call),
    feed,
    blocking: toBlocking(store),
    close: () => store.close(),
  };
  opened.set(primitives, store);
  return primitives;
}

function toBlocking(store: LmdbStore): BlockingPrimitives<Uint8Array> {
  const { reader, feed } = store;
  return {
    readOne: (key) => reader.run('get', () => reader.entry(key)),
    readValue: (key) => reader.run('get', () => reader.value(key)),
    *scan(range) {
      for (const page of scanEntries(reader, 'list', range)) yield* page;
    },
    *scanKeys(range) {
      for (const page of scanKeys(reader, 'keys', range)) yield* page;
    },
    commit: (writes, operation) =>
      writerOf(store, operation).committer.commitNow(operation, writes),
    state: () => feed.stateNow('cursor'),
  };
}

function writerOf(store: LmdbStore, operation: string): NonNullable<LmdbStore['writer']> {
  if (store.writer !== undefined) return store.writer;
  throw new StrataError('denied', `${operation}: ${store.path} is opened for reading only`, {
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
