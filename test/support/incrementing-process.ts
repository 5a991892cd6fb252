/** A process that increments archived counters, and says each number that was acknowledged, until it is killed. */
import { writeSync } from 'node:fs';
import { Redis } from 'ioredis';
import { archive, redisKeys } from '../../src/compositions/archive/index.ts';
import { archivedRedis } from '../../src/compositions/archive/redis/index.ts';
import { redis } from '../../src/drivers/redis/index.ts';

const [url = '', cold = '', ...keys] = process.argv.slice(2);
const client = new Redis(url);
const safe = archive({ hot: redisKeys(client), cold: redis({ url: cold }) });
const kv = archivedRedis(client, { archive: safe });

async function increment(key: string): Promise<never> {
  for (;;) {
    const value = await kv.incr(key);
    // Not lost when the process is killed: it waits until somebody reads.
    writeSync(1, `${key} ${value}\n`);
  }
}

await Promise.all(keys.flatMap((key) => [increment(key), increment(key)]));
