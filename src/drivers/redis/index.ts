import { checkBytes } from '../../kernel/check-bytes.ts';
import type { Capabilities, Durability } from '../../store/capabilities.ts';
import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument, StrataError } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { withCodec } from '../../store/with-codec.ts';
import { CommitQueue } from './commits.ts';
import { RedisEngine } from './engine.ts';
import { RedisFeed } from './feed.ts';
import { type IoRedisClient, ioRedisPorts, isIoRedis } from './ioredis.ts';
import { isNodeRedis, type NodeRedisClient, nodeRedisPorts } from './node-redis.ts';
import { withPatience } from './patience.ts';
import { plainPrimitives } from './plain/store.ts';
import type { RedisPorts } from './port.ts';
import { Reader } from './reader.ts';
import { portsOfUrl } from './url.ts';

export type { IoRedisClient } from './ioredis.ts';
export type { NodeRedisClient } from './node-redis.ts';

/** Options of `redis`, beside the codec. */
export interface RedisOptions {
  /**
   * A client of ioredis or node-redis, as the pattern of the connections that the store makes: one
   * for commands, one more while somebody watches. The client itself is neither used nor closed.
   */
  readonly client?: IoRedisClient | NodeRedisClient;
  /** Address in place of a client, such as `redis://127.0.0.1:6379/0`; needs the package ioredis or redis. */
  readonly url?: string;
  /** Names the store within the database: all its keys begin with it, in braces. Default `strata`. */
  readonly prefix?: string;
  /**
   * What the server makes of an acknowledged write, told as `capabilities.durability`. Default
   * `memory`, which every server keeps. With `os` and `disk` the store refuses a server that does
   * not run with `appendonly yes` and `appendfsync always`, unless it does not tell its settings.
   */
  readonly durability?: Exclude<Durability, 'quorum'>;
  /** Bound of the log of whole commits, in bytes; default 4 MiB. */
  readonly logBytes?: number;
  /** From how many of the last commits a reader can resume; default 1,000,000, at some 25 bytes each. */
  readonly commitsKept?: number;
  /** How long deletes are remembered for readers that resume, in ms; default 7 days. */
  readonly tombstoneMs?: number;
  /** Bound of what is remembered of deletes, in bytes; default 64 MiB. */
  readonly tombstoneBytes?: number;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

/** Options of `redis` in plain mode, beside the codec. */
export interface RedisPlainOptions
  extends Pick<RedisOptions, 'client' | 'url' | 'durability' | 'timeoutMs' | 'env'> {
  /**
   * Each entry is an ordinary string of Redis, with the server's own expiry, which other programs
   * may read and write too; see `capabilities.bare`.
   */
  readonly mode: 'plain';
  /** Stands before every key in the name of its string; default nothing. */
  readonly prefix?: string;
  /**
   * Takes a server whose `maxmemory-policy` removes entries when memory is short, told as
   * `capabilities.evicts`. Default false: such a server is refused.
   */
  readonly allowEviction?: boolean;
}

const MiB = 1024 * 1024;
const WEEK_MS = 7 * 86_400_000;
/** Redis holds 512 MiB in a string; a value needs room for what is stored with it. */
const MAX_VALUE_BYTES = 256 * MiB;

const RULES: OptionRules = {
  client: is.object,
  mode: is.oneOf('plain'),
  url: {
    expected: 'an address such as redis://127.0.0.1:6379',
    accepts: (v) => typeof v === 'string' && /^rediss?:\/\//i.test(v) && URL.canParse(v),
  },
  prefix: {
    expected: 'one to 128 characters of well-formed Unicode without braces',
    accepts: (v) => typeof v === 'string' && /^[^{}]{1,128}$/u.test(v) && v.isWellFormed(),
  },
  codec: is.codec,
  durability: is.oneOf('memory', 'os', 'disk'),
  logBytes: is.count,
  commitsKept: is.positive,
  tombstoneMs: is.durationMs,
  tombstoneBytes: is.count,
  timeoutMs: is.durationMs,
  env: is.object,
};

const { logBytes: _, commitsKept: __, tombstoneMs: ___, tombstoneBytes: ____, ...shared } = RULES;
const PLAIN_RULES: OptionRules = {
  ...shared,
  prefix: {
    expected: 'at most 128 characters of well-formed Unicode',
    accepts: (v) => typeof v === 'string' && v.length <= 128 && v.isWellFormed(),
  },
  allowEviction: is.boolean,
};

/**
 * A store in Redis 6.2 or newer, shared by any number of processes: atomic batches, conditional
 * writes, expiry, and a feed. Every batch is one step of one script, and commits made at the same
 * moment share a script call. Opened by the first call.
 *
 * An acknowledged write survives what the server is set up for (`durability`). When the server
 * restarted or another took its place, its history may have been rewound: cursors from before then
 * fail with `cursor-expired`.
 *
 * Errors: `unavailable` when the server cannot be reached; `unknown-outcome` when a connection ends
 * under a write; `denied`, `no-space`; `invalid-argument` where the prefix holds other data, the
 * server evicts keys, or keeps less than `durability` says.
 *
 * With `mode: 'plain'`, in Redis 7.0 or newer, entries are ordinary strings: batches are atomic,
 * `if: 'absent'` and expiry work; there are no other conditions and so no `update`, no feed, no
 * metadata, and versions tell values only. A key that holds something else than a string fails with
 * `corrupt` and is left as it is.
 *
 * ```ts
 * const store = redis({ client: new Redis(), prefix: 'app', codec: json<User>() });
 * ```
 */
export function redis<V>(
  options: (RedisOptions | RedisPlainOptions) & { readonly codec: Codec<V> },
): Store<V>;
export function redis(options: RedisOptions | RedisPlainOptions): Store<Uint8Array>;
export function redis<V>(
  options: (RedisOptions | RedisPlainOptions) & { readonly codec?: Codec<V> },
): Store<V> | Store<Uint8Array> {
  const plain = isPlain(options) ? options : undefined;
  checkOptions('redis', options, plain === undefined ? RULES : PLAIN_RULES, []);
  const bytes = plain === undefined ? redisPrimitives(options ?? {}) : inPlainMode(plain);
  return options.codec === undefined
    ? defineStore(bytes)
    : defineStore(withCodec(bytes, options.codec));
}

function redisPrimitives(options: RedisOptions): Primitives<Uint8Array> {
  const env = options.env ?? systemEnv;
  const { durability = 'memory', prefix = 'strata', timeoutMs } = options;
  const engine = new RedisEngine(portsOf(options), {
    env,
    prefix,
    durability,
    logBytes: options.logBytes ?? 4 * MiB,
    commitIds: options.commitsKept ?? 1_000_000,
    tombstoneMs: options.tombstoneMs ?? WEEK_MS,
    tombstoneBytes: options.tombstoneBytes ?? 64 * MiB,
  });
  const reader = new Reader(engine);
  const feed = new RedisFeed(engine);
  const commits = new CommitQueue(engine, (rev) => feed.ring(rev));
  const capabilities: Capabilities = Object.freeze({
    durability,
    atomic: 'batch',
    conditional: 'all',
    feed: true,
    ttl: true,
    blocking: false,
    maxKeyBytes: 512,
    maxValueBytes: MAX_VALUE_BYTES,
  });
  return {
    shape: { type: 'redis', details: { prefix } },
    capabilities,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    checkValue: checkBytes,
    readOne: (key, call) => reader.readOne(key, call),
    readValue: (key, call) => reader.readValue(key, call),
    readMany: (keys, call) => reader.readMany(keys, call),
    scan: (range, call) => reader.scan(range, call),
    scanKeys: (range, call) => reader.scanKeys(range, call),
    commit: (writes, call) => commits.commit(writes, call),
    feed,
    close: async () => {
      feed.close();
      const settled = commits.close().then(() => engine.connection.settle());
      // What is still under way after a while is in doubt, and told so when the connection ends.
      await withPatience(settled).catch(() => undefined);
      engine.close();
    },
  };
}

function isPlain(options: RedisOptions | RedisPlainOptions): options is RedisPlainOptions {
  return (options as Partial<RedisPlainOptions> | undefined)?.mode === 'plain';
}

function inPlainMode(options: RedisPlainOptions): Primitives<Uint8Array> {
  const { env = systemEnv, prefix = '', durability = 'memory', timeoutMs } = options;
  const { allowEviction: evicts = false } = options;
  const maxValueBytes = MAX_VALUE_BYTES;
  const plain = { env, prefix, durability, timeoutMs, maxValueBytes, evicts };
  return plainPrimitives(portsOf(options), plain);
}

/** Where connections come from; refuses what is neither client nor address. */
function portsOf({ client, url }: Pick<RedisOptions, 'client' | 'url'>): () => Promise<RedisPorts> {
  if ((client === undefined) === (url === undefined))
    throw new StrataError(
      'invalid-argument',
      'redis: expected exactly one of the options client and url',
      { operation: 'redis' },
    );
  if (url !== undefined) {
    let ports: Promise<RedisPorts> | undefined;
    return () => (ports ??= portsOfUrl(url));
  }
  const given = client as object;
  let ports: RedisPorts;
  if (isIoRedis(given)) ports = ioRedisPorts(given);
  else if (isNodeRedis(given)) ports = nodeRedisPorts(given);
  else
    throw invalidArgument(
      'redis',
      'the option client',
      client,
      'a client of ioredis or node-redis for one server',
    );
  return () => Promise.resolve(ports);
}
