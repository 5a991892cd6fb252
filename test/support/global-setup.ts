/** Runs once before the Node tests: finds the engines, and starts what the run shares. */
import type { TestProject } from 'vitest/node';
import { type EngineName, type FoundEngine, findEngine, requiredEngines } from './find-engine.ts';
import { type RedisServer, startRedis } from './redis-server.ts';
import { lendS3 } from './s3-lender.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the address of the shared S3 endpoint is told; it is started for the first who asks. */
    s3Lender: string;
  }
}

/** Each project of a run has its own. Gives what ends it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
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
  let redis: RedisServer | undefined;
  if ('at' in engines.redis && process.env.STRATAKV_REDIS_URL === undefined) {
    redis = await startRedis();
    engines.redis = { at: redis.url };
  }
  const s3 = await lendS3();
  project.provide('engines', engines);
  project.provide('s3Lender', s3.url);
  return async () => void (await Promise.all([redis?.stop(), s3.stop()]));
}
