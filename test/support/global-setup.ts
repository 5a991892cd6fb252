/** Runs once before the Node tests: finds the engines and starts the Redis that the run shares. */
import type { TestProject } from 'vitest/node';
import { type EngineName, type FoundEngine, findEngine, requiredEngines } from './find-engine.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

let redis: RedisServer | undefined;

export async function setup(project: TestProject): Promise<void> {
  const engines: Record<EngineName, FoundEngine> = {
    redis: findEngine('redis'),
    'redis-server': findEngine('redis-server'),
    'nats-server': findEngine('nats-server'),
    radosgw: findEngine('radosgw'),
    chromium: findEngine('chromium'),
    strace: findEngine('strace'),
  };
  for (const name of requiredEngines()) {
    const found = engines[name as EngineName] as FoundEngine | undefined;
    if (found === undefined) throw new Error(`STRATAKV_REQUIRE names no engine known: ${name}`);
    if ('missing' in found) throw new Error(`${name} is required: ${found.missing}`);
  }
  if ('at' in engines.redis && process.env.STRATAKV_REDIS_URL === undefined) {
    redis = await startRedis();
    engines.redis = { at: redis.url };
  }
  project.provide('engines', engines);
}

export async function teardown(): Promise<void> {
  await redis?.stop();
}
