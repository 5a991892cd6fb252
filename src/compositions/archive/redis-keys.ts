import { type IoRedisClient, ioRedisPorts, isIoRedis } from '../../drivers/redis/ioredis.ts';
import {
  isNodeRedis,
  type NodeRedisClient,
  nodeRedisPorts,
} from '../../drivers/redis/node-redis.ts';
import type { RedisPorts } from '../../drivers/redis/port.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import { ClusterConnection } from './cluster/cluster-connection.ts';
import {
  type ClusterPorts,
  type IoRedisCluster,
  ioRedisClusterPorts,
  isIoRedisCluster,
  isNodeRedisCluster,
  type NodeRedisCluster,
  nodeRedisClusterPorts,
} from './cluster/cluster-ports.ts';
import { ClusterSide } from './cluster/cluster-side.ts';
import type { HotSide } from './hot-side.ts';
import type { ValueForm } from './logical/taken.ts';
import { DEFAULT_NAMESPACE, NAMESPACE_RULE } from './namespace.ts';
import { HotConnection } from './redis-connection.ts';
import { RedisSide } from './redis-side.ts';

/** Options of `redisKeys`. */
export interface RedisKeysOptions {
  /** The keys that may be archived begin with it; default all but the archive's own. */
  readonly prefix?: string;
  /** Begins the archive's own keys in Redis, and keeps archives of one Redis and of one cold store apart. Default `strata-archive`. */
  readonly namespace?: string;
  /** A `maxmemory-policy` that is accepted although it could remove keys that are in Redis only. */
  readonly allowPolicy?: string;
  /** What the cold store gets of a value: `both` (default), `dump` or `logical`; see {@link ValueForm}. */
  readonly form?: ValueForm;
  /** Bound of each step in Redis, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. Redis has its own clock. */
  readonly env?: Env;
}

/** The hot side of an archive: keys of a Redis or Redis Cluster, of any type. Made by `redisKeys`. */
export interface RedisKeys {
  /** Names the archive. */
  readonly namespace: string;
  readonly prefix: string;
  /** @internal */
  readonly side: HotSide;
  /** @internal Absent where it is a cluster. */
  readonly connection?: HotConnection;
  /** @internal Absent where it is one server. */
  readonly cluster?: ClusterConnection;
}

const RULES: OptionRules = {
  prefix: is.string,
  namespace: NAMESPACE_RULE,
  allowPolicy: is.text,
  form: is.oneOf('both', 'dump', 'logical'),
  timeoutMs: is.durationMs,
  env: is.object,
};

/** A client of ioredis or node-redis, for one server or for a cluster. */
export type RedisKeysClient = IoRedisClient | NodeRedisClient | IoRedisCluster | NodeRedisCluster;

/**
 * The keys of a Redis server or Redis Cluster, 7.0 or later, as the hot side of an archive. The
 * client, of ioredis or node-redis, is the pattern of the connections that the archive makes; it is
 * neither used nor closed. Keys are named in full: a client with a `keyPrefix` is refused.
 *
 * Errors, at the first call: `unsupported` for an older server, and for a client of one server where
 * a cluster is, or the other way; `invalid-argument` for a `maxmemory-policy` that could remove keys
 * that are nowhere else.
 */
export function redisKeys(client: RedisKeysClient, options: RedisKeysOptions = {}): RedisKeys {
  checkOptions('redisKeys', options, RULES);
  const { prefix = '', namespace = DEFAULT_NAMESPACE, form = 'both' } = options;
  const bounds = { namespace, prefix };
  checkClient(client);
  const cluster = clusterPortsOf(client);
  if (cluster !== undefined) {
    const connection = new ClusterConnection(cluster, options);
    const side = new ClusterSide(connection, bounds, form);
    return { namespace, prefix, side, cluster: connection };
  }
  const connection = new HotConnection(portsOf(client), `${namespace}:`, options);
  const side = new RedisSide(connection, bounds, form);
  return { namespace, prefix, side, connection };
}

/** The library would put the prefix before the archive's own keys, and again before those it names. */
function checkClient(client: object): void {
  const { options, _options } = (client ?? {}) as Record<string, { keyPrefix?: unknown }>;
  const keyPrefix = options?.keyPrefix ?? _options?.keyPrefix;
  if (keyPrefix !== undefined && keyPrefix !== '')
    throw invalidArgument(
      'redisKeys',
      "the client's keyPrefix",
      keyPrefix,
      'a client without one: keys are named in full, and the option prefix says which are archived',
    );
}

function clusterPortsOf(client: object): ClusterPorts | undefined {
  if (!is.object.accepts(client)) return undefined;
  if (isIoRedisCluster(client)) return ioRedisClusterPorts(client);
  return isNodeRedisCluster(client) ? nodeRedisClusterPorts(client) : undefined;
}

function portsOf(client: object): RedisPorts {
  if (is.object.accepts(client)) {
    if (isIoRedis(client)) return ioRedisPorts(client);
    if (isNodeRedis(client)) return nodeRedisPorts(client);
  }
  throw invalidArgument('redisKeys', 'the client', client, 'a client of ioredis or node-redis');
}
