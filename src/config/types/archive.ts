import type { Archive } from '../../compositions/archive/index.ts';
import { invalidArgument } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { clusterNodesOf } from '../address.ts';
import type { ArchiveDefinition } from '../definitions.ts';
import * as is from '../fields.ts';
import { timeoutMs } from './common-fields.ts';
import { redisAddress } from './redis.ts';
import { SEAL_FIELDS, sealOptions } from './sealed.ts';
import { first, type Options, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

const OF_REDIS = ['allowPolicy', 'form'];
const OF_STORE = ['noteEveryMs'];
const OF_HOT = ['prefix', 'namespace', 'timeoutMs', ...OF_REDIS, ...OF_STORE];

async function clientOf(url: unknown): Promise<unknown> {
  const address = url as string;
  const nodes = clusterNodesOf(address);
  if (nodes !== undefined) {
    const { clusterClientOf } = await import('../../drivers/redis/cluster-client.ts');
    return clusterClientOf(nodes);
  }
  const { clientOfUrl } = await import('../../drivers/redis/url.ts');
  return clientOfUrl(address);
}

const clusterAddress: is.Shape = is.textLike(
  {
    expected: 'of a cluster redis+cluster://host:7000,host:7001',
    accepts: (v) => typeof v === 'string' && clusterNodesOf(v) !== undefined,
  },
  '^[Rr][Ee][Dd][Ii][Ss][Ss]?\\+[Cc][Ll][Uu][Ss][Tt][Ee][Rr]://',
);

async function sealOf(options: unknown): Promise<unknown> {
  const { seal } = await import('../../layers/sealed/index.ts');
  const given = sealOptions(options as Options);
  return given === undefined ? undefined : seal(given);
}

/** What the two kinds of hot sides exclude. */
function checkHot(options: Options): void {
  const isRedis = 'redis' in options;
  if (isRedis === 'hot' in options)
    throw invalidArgument(
      'archive',
      isRedis ? 'the option hot' : 'the option redis',
      isRedis ? 'given beside redis' : undefined,
      'either redis, an address, or hot, a store',
    );
  const foreign = (isRedis ? OF_STORE : OF_REDIS).find((name) => name in options);
  if (foreign !== undefined)
    throw invalidArgument(
      'archive',
      `the option ${foreign}`,
      options[foreign],
      isRedis ? 'none beside redis' : 'none beside hot',
    );
}

/** An archive that closes its stores with itself. */
async function load(): Promise<(options: Options) => Archive> {
  const { archive, redisKeys, storeKeys } = await import('../../compositions/archive/index.ts');
  return ({ redis, hot, cold, ...rest }) => {
    const entries = Object.entries(rest);
    const about = (isHot: boolean): Options =>
      Object.fromEntries(entries.filter(([name]) => OF_HOT.includes(name) === isHot));
    const side =
      redis === undefined
        ? storeKeys(hot as Store<unknown>, about(true))
        : redisKeys(redis as never, about(true));
    const made = archive({ ...about(false), hot: side, cold: cold as Store<Uint8Array> });
    const close = made.close.bind(made);
    return Object.assign(made, {
      close: async () => {
        await close();
        await (cold as Store<Uint8Array>).close();
        await (hot as Store<unknown> | undefined)?.close();
      },
    });
  };
}

export const archive: TypeSpec<ArchiveDefinition, Archive> = {
  kind: 'archive',
  doc: 'Keys of a Redis, or of a store, that go to a cold store when nobody uses them.',
  fields: {
    redis: named(
      is.either(redisAddress, clusterAddress),
      'Address of the Redis whose keys are archived, or of a cluster: `redis+cluster://` (with TLS `rediss+cluster://`) and one or more nodes, `host:port` with commas between; or `hot`. Needs the npm package ioredis or redis.',
      { secret: true, resolve: clientOf },
    ),
    hot: { kind: 'store', doc: 'The store whose keys are archived; or `redis`.' },
    cold: is.part('The store of bytes that they go to.'),
    prefix: named(is.text, 'The keys that may be archived begin with it. Default all.'),
    namespace: named(
      is.textLike(
        {
          expected: '1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-"',
          accepts: (v) => typeof v === 'string' && /^[\w.-]{1,64}$/.test(v),
        },
        '^[A-Za-z0-9_.-]{1,64}$',
      ),
      'Keeps archives of one Redis, of one hot store and of one cold store apart, and begins the archive’s own keys. Default `strata-archive`.',
    ),
    allowPolicy: value(
      is.text,
      'With `redis`: a `maxmemory-policy` that is accepted although it could remove keys that are nowhere else.',
    ),
    form: value(
      is.oneOf('both', 'dump', 'logical'),
      'With `redis`: what the cold store gets of a value: as Redis dumps it, in a form of our own that every version can read, or both. Default `both`.',
    ),
    noteEveryMs: value(
      is.durationMs,
      'With `hot`: how often at most it is noted that a key was used, in ms; default 60,000.',
    ),
    seal: is.group(SEAL_FIELDS, 'How objects are sealed. Default a checksum only.', {
      resolve: sealOf,
    }),
    evictAfterMs: value(
      is.durationMs,
      'Idle time after which a key is evicted, in ms. Default never.',
    ),
    leaseMs: value(
      is.durationMs,
      'Time after which a mark that was taken is taken by another worker, in ms; default 60,000.',
    ),
    throttleMs: value(
      is.count,
      'Least time between two freezes of a key that is marked again while it is frozen, in ms; default 1,000.',
    ),
    concurrency: value(is.positive, 'Keys that are worked on at once; default 16.'),
    coldTimeoutMs: value(
      is.durationMs,
      'Bound of each call of the cold store, in ms; default 30,000.',
    ),
    timeoutMs,
  },
  load,
  check: checkHot,
  traits: (_, parts) => first(parts('cold')),
};
