import { StrataError } from '../../store/errors.ts';
import { type IoRedisClient, ioRedisPorts, isIoRedis } from './ioredis.ts';
import { type NodeRedisClient, nodeRedisPorts } from './node-redis.ts';
import type { RedisPorts } from './port.ts';

/** Connections to an address, by whichever client library is installed. */
export async function portsOfUrl(url: string): Promise<RedisPorts> {
  const client = await clientOfUrl(url);
  return isIoRedis(client) ? ioRedisPorts(client) : nodeRedisPorts(client);
}

/** A client for an address that never connects itself: a pattern for connections. */
export async function clientOfUrl(url: string): Promise<IoRedisClient | NodeRedisClient> {
  return byLibrary(
    ({ createClient }) => createClient({ url }),
    ({ Redis }) => new Redis(url, { lazyConnect: true }),
  );
}

/** Makes something by whichever client library is installed. Errors: `unsupported` where none is. */
export async function byLibrary<N, I>(
  ofNodeRedis: (library: Pick<typeof import('redis'), 'createClient' | 'createCluster'>) => N,
  ofIoRedis: (library: Pick<typeof import('ioredis'), 'Redis' | 'Cluster'>) => I,
): Promise<N | I> {
  try {
    return ofNodeRedis(await import('redis'));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  try {
    return ofIoRedis(await import('ioredis'));
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new StrataError(
      'unsupported',
      'open: an address of Redis needs the package redis or ioredis; install one of them, or pass a client',
      { operation: 'open', cause: error },
    );
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}
