import { isIoRedis } from '../../../drivers/redis/ioredis.ts';
import { isNodeRedis } from '../../../drivers/redis/node-redis.ts';
import type { RedisPorts } from '../../../drivers/redis/port.ts';
import type { Env } from '../../../store/env.ts';
import { failure, invalidArgument, isStrataError } from '../../../store/errors.ts';
import * as is from '../../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../../store/options.ts';
import type { ClusterConnection } from '../cluster/cluster-connection.ts';
import {
  type ClusterPorts,
  ioRedisClusterPorts,
  isIoRedisCluster,
  isNodeRedisCluster,
  nodeRedisClusterPorts,
} from '../cluster/cluster-ports.ts';
import { SlotList } from '../cluster/slot-list.ts';
import { SlotScripts } from '../cluster/slot-scripts.ts';
import { hotKeysOf } from '../hot-keys-of.ts';
import type { Archive } from '../index.ts';
import type { HotConnection } from '../redis-connection.ts';
import type { RedisKeys, RedisKeysClient } from '../redis-keys.ts';
import { ClusterLink, type Listing } from './cluster-link.ts';
import { archivedIoRedis, portsLikeIoRedis } from './ioredis.ts';
import { Link } from './link.ts';
import { archivedNodeRedis, isKnownNodeRedis, portsLikeNodeRedis } from './node-redis.ts';
import { archivedNodeRedisCluster, isKnownNodeRedisCluster } from './node-redis-cluster.ts';
import type { GuardedArchive } from './routes.ts';
import { Session, type SessionOptions } from './session.ts';
import { Watching } from './watching.ts';

/** Options of `archivedRedis`. */
export interface ArchivedRedisOptions {
  /** An archive whose hot side is `redisKeys` of the same server and database, or of the same cluster. */
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
 * A client of ioredis or node-redis, for one server or a cluster, over keys that are archived, to use like the one it is made of:
 * whatever a command needs of its keys is there when it runs, also when it was evicted, and what it
 * writes is marked, in the same step. Keys need no `ensure`, `dirty` and `forget` any more.
 *
 * Commands go over a connection of its own, of the same options; what is about no keys, such as
 * `INFO` or subscriptions, is left to the client itself. A command costs one round trip while its
 * keys are in Redis. Commands on the same key run in the order of the calls.
 *
 * Errors: those of Redis and the client, and of the library: `unsupported` for commands that cannot
 * be made safe; `invalid-argument` for the archive's own keys, for those of several slots of a
 * cluster in one command or transaction, and for a client of another server, database or cluster;
 * `data-missing`, `corrupt` and `unavailable` for keys that cannot be brought back; `unavailable` also
 * for a slot that does not come to rest; `unknown-outcome` for writes whose answer was lost: they are
 * not sent twice.
 */
export function archivedRedis<C extends RedisKeysClient>(
  client: C,
  options: ArchivedRedisOptions,
): C {
  checkOptions('archivedRedis', options, RULES, ['archive']);
  const hot = hotKeysOf(options.archive) ?? {};
  const isCluster = hot.cluster !== undefined;
  if (!isCluster && hot.connection === undefined)
    throw failure('unsupported', 'archivedRedis', 'the hot side of the archive is not Redis');
  const around = isCluster ? aroundCluster : aroundServer;
  const again = (other: RedisKeysClient): RedisKeysClient => archivedRedis(other, options);
  const made =
    is.object.accepts(client) && !archived.has(client)
      ? around(client, new Sessions(options, hot), again)
      : undefined;
  if (made === undefined)
    throw invalidArgument(
      'archivedRedis',
      'the client',
      client,
      `a client of ioredis or node-redis for ${isCluster ? 'a cluster' : 'one server'}, as that of the archive, that has no archive yet`,
    );
  archived.add(made);
  return made as C;
}

/** Clients that were made here: commands go to an archive once. */
const archived = new WeakSet<object>();

type Again = (other: RedisKeysClient) => RedisKeysClient;

function aroundServer(client: object, sessions: Sessions, again: Again): object | undefined {
  if (isIoRedis(client))
    return archivedIoRedis(client, sessions.ofServer(portsLikeIoRedis(client)), again);
  if (!isNodeRedis(client)) return undefined;
  if (!isKnownNodeRedis(client)) throw unknownVersion();
  return archivedNodeRedis(client, sessions.ofServer(portsLikeNodeRedis(client)), again);
}

function aroundCluster(client: object, sessions: Sessions, again: Again): object | undefined {
  if (isIoRedisCluster(client)) {
    const ports = ioRedisClusterPorts(client, portsLikeIoRedis);
    return archivedIoRedis(client, sessions.ofCluster(ports), again);
  }
  if (!isNodeRedisCluster(client)) return undefined;
  if (!isKnownNodeRedisCluster(client)) throw unknownVersion();
  const ports = nodeRedisClusterPorts(client, portsLikeNodeRedis);
  return archivedNodeRedisCluster(client, sessions.ofCluster(ports), again);
}

const unknownVersion = (): Error =>
  failure('unsupported', 'archivedRedis', 'this version of the package redis');

/** Makes sessions over an archive. */
class Sessions {
  readonly #options: ArchivedRedisOptions;
  readonly #hot: Partial<RedisKeys>;

  constructor(options: ArchivedRedisOptions, hot: Partial<RedisKeys>) {
    this.#options = options;
    this.#hot = hot;
  }

  ofServer(ports: RedisPorts): Session {
    const connection = this.#hot.connection as HotConnection;
    const archive = this.#guarded(connection.env, (words) =>
      connection.read('archivedRedis', words),
    );
    const link = new Link(ports, archive, this.#session.allowed);
    return new Session(link, archive, this.#session, new Watching(ports));
  }

  ofCluster(ports: ClusterPorts): Session {
    const cluster = this.#hot.cluster as ClusterConnection;
    const archive = this.#guarded(cluster.env, (words) =>
      cluster.send('archivedRedis', 0, () => words),
    );
    const { namespace } = archive.bounds;
    const slots = new SlotList(cluster, namespace);
    const list: Listing = (operation, slot, clock) =>
      new SlotScripts(cluster, slots, namespace, slot).list(operation, clock);
    const link = new ClusterLink(ports, archive, this.#session.allowed, list);
    return new Session(link, archive, this.#session);
  }

  get #session(): SessionOptions {
    const { allow = [], maxPending = 100_000 } = this.#options;
    const allowed = new Set(allow.map((name) => name.toUpperCase()));
    return { allowed, mostWaiting: maxPending };
  }

  #guarded(env: Env, ask: GuardedArchive['ask']): GuardedArchive {
    const { archive } = this.#options;
    const { namespace = '', prefix = '' } = this.#hot;
    return {
      bounds: { namespace, prefix },
      env,
      ensure: (keys) => archive.ensure(...keys),
      mark: (keys) => archive.dirty(...keys).catch(ofMissing),
      ask,
    };
  }
}

/** That some of the keys are not there: the others were marked. */
function ofMissing(error: unknown): void {
  if (!isStrataError(error, 'invalid-argument') || error.details?.missing === undefined)
    throw error;
}
