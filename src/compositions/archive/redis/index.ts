import type { IoRedisClient } from '../../../drivers/redis/ioredis.ts';
import { isIoRedis } from '../../../drivers/redis/ioredis.ts';
import { isNodeRedis, type NodeRedisClient } from '../../../drivers/redis/node-redis.ts';
import { failure, invalidArgument } from '../../../store/errors.ts';
import * as is from '../../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../../store/options.ts';
import { hotKeysOf } from '../hot-keys-of.ts';
import type { Archive } from '../index.ts';
import { archivedIoRedis, portsLikeIoRedis } from './ioredis.ts';
import type { GuardedArchive } from './link.ts';
import { archivedNodeRedis, isKnownNodeRedis, portsLikeNodeRedis } from './node-redis.ts';
import { Session, type SessionOptions } from './session.ts';

/** Options of `archivedRedis`. */
export interface ArchivedRedisOptions {
  /** An archive whose hot side is `redisKeys` of the same server and database. */
  readonly archive: Archive;
  /**
   * Names of commands that are sent as they are, although the archive cannot make them safe, such as
   * `SCAN`, which does not see what is evicted. Default none: they are refused with `unsupported`.
   * With a name that the server has no command for, every command fails with `invalid-argument`.
   */
  readonly allow?: readonly string[];
  /** Bound of the commands that wait to be sent; those above it fail with `overloaded`. Default 100,000. */
  readonly maxPending?: number;
}

const RULES: OptionRules = {
  archive: {
    expected: 'an archive, made by archive()',
    accepts: (v) => typeof v === 'object' && v !== null && hotKeysOf(v) !== undefined,
  },
  allow: {
    expected: "a list of names of commands, such as ['SCAN']",
    accepts: (v) => Array.isArray(v) && v.every((name) => is.text.accepts(name)),
  },
  maxPending: is.positive,
};

/**
 * A client of ioredis or node-redis over keys that are archived, to use like the one it is made of:
 * whatever a command needs of its keys is there when it runs, also when it was evicted, and what it
 * writes is marked, in the same step. Keys need no `ensure`, `dirty` and `forget` any more.
 *
 * Commands go over a connection of its own, of the same options; what is about no keys, such as
 * `INFO` or subscriptions, is left to the client itself. A command costs one round trip while its
 * keys are in Redis. Commands on the same key run in the order of the calls.
 *
 * Errors: those of Redis and the client, and of the library: `unsupported` for commands that cannot
 * be made safe; `invalid-argument` for the archive's own keys, and for a client of another server or
 * database; `data-missing`, `corrupt` and `unavailable` for keys that cannot be brought back;
 * `unknown-outcome` for writes whose answer was lost: they are not sent twice.
 */
export function archivedRedis<C extends IoRedisClient | NodeRedisClient>(
  client: C,
  options: ArchivedRedisOptions,
): C {
  checkOptions('archivedRedis', options, RULES, ['archive']);
  const archive = guarded(options.archive);
  const { allow = [], maxPending = 100_000 } = options;
  const session: SessionOptions = {
    allowed: new Set(allow.map((name) => name.toUpperCase())),
    mostWaiting: maxPending,
  };
  const again = (other: C): C => archivedRedis(other, options);
  if (is.object.accepts(client) && !archived.has(client)) {
    if (isIoRedis(client)) {
      const made = new Session(portsLikeIoRedis(client), archive, session);
      return remembered(archivedIoRedis(client, made, again as (other: IoRedisClient) => unknown));
    }
    if (isNodeRedis(client)) {
      if (!isKnownNodeRedis(client))
        throw failure('unsupported', 'archivedRedis', 'this version of the package redis');
      const made = new Session(portsLikeNodeRedis(client), archive, session);
      return remembered(
        archivedNodeRedis(client, made, again as (other: NodeRedisClient) => unknown),
      );
    }
  }
  throw invalidArgument(
    'archivedRedis',
    'the client',
    client,
    'a client of ioredis or node-redis for one server that has no archive yet',
  );
}

/** Clients that were made here: commands go to an archive once. */
const archived = new WeakSet<object>();

function remembered<C extends object>(client: unknown): C {
  archived.add(client as C);
  return client as C;
}

function guarded(archive: Archive): GuardedArchive {
  const hot = hotKeysOf(archive);
  const { connection, namespace, prefix } = hot ?? {};
  if (connection === undefined || namespace === undefined || prefix === undefined)
    throw failure('unsupported', 'archivedRedis', 'the hot side of the archive is not one Redis');
  return {
    bounds: { namespace, prefix },
    env: connection.env,
    ensure: (keys) => archive.ensure(...keys),
    ask: (words) => connection.read('archivedRedis', words),
  };
}
