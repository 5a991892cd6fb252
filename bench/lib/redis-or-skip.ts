import { findEngine } from '../../test/support/find-engine.ts';
import {
  type RedisServer,
  type StartRedisOptions,
  startRedis,
} from '../../test/support/redis-server.ts';
import { NotHere } from './row.ts';

/** Starts a Redis of the suite's own; a machine without one leaves the suite out. */
export async function startOrSkip(options?: StartRedisOptions): Promise<RedisServer> {
  const program = findEngine('redis-server');
  if ('missing' in program) throw new NotHere(`no Redis server: ${program.missing}`);
  return startRedis(options);
}
