import { StrataError } from '../../store/errors.ts';
import { ioRedisPorts } from './ioredis.ts';
import { nodeRedisPorts } from './node-redis.ts';
import type { RedisPorts } from './port.ts';

/** Connections to an address, by whichever client library is installed. */
export async function portsOfUrl(url: string): Promise<RedisPorts> {
  try {
    const { createClient } = await import('redis');
    // A pattern for connections: it never connects itself.
    return nodeRedisPorts(createClient({ url }));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  try {
    const { Redis } = await import('ioredis');
    return ioRedisPorts(new Redis(url, { lazyConnect: true }));
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
