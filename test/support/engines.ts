/** What a test needs to use a real engine: the shared Redis, servers of its own, and skipping with a reason. */
import { describe, inject } from 'vitest';
import type { EngineName, FoundEngine } from './find-engine.ts';

export { type EngineName, type FoundEngine, findEngine } from './find-engine.ts';
export { freePort, type RedisServer, type StartRedisOptions, startRedis } from './redis-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `redis` is the address of the server shared by this run; `radosgw` a program or an address; the others are paths of programs. */
    engines: Record<EngineName, FoundEngine>;
  }
}

/**
 * `describe`, skipped with the reason in its title when the engine is not there.
 * `redis` is the shared server of {@link redisUrl}; `redis-server` the program for `startRedis`.
 */
export function describeWithEngine(engine: EngineName, title: string, cases: () => void): void {
  const found = inject('engines')[engine];
  if ('at' in found) describe(title, cases);
  else describe.skip(`${title} (skipped, no ${engine}: ${found.missing})`, cases);
}

/** Address of the Redis shared by the whole run: keep to a prefix of your own, never flush it. */
export function redisUrl(): string {
  return enginePath('redis');
}

/** Path of an engine's program. Throws where there is none: call it inside {@link describeWithEngine}. */
export function enginePath(engine: EngineName): string {
  const found = inject('engines')[engine];
  if ('at' in found) return found.at;
  throw new Error(`no ${engine}: ${found.missing}`);
}
