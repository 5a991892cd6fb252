/** A Redis whose idle keys are in files, used like any Redis. `node examples/archived-redis.ts` */
import { createClient } from 'redis';
import { archive, redisKeys } from 'stratakv/archive';
import { archivedRedis } from 'stratakv/archive/redis';
import { file } from 'stratakv/file';

const client = createClient({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' });
const safe = archive({
  hot: redisKeys(client, { prefix: 'visits:' }),
  cold: file({ path: './cold' }), // or S3, or DynamoDB
});
const redis = await archivedRedis(client, { archive: safe }).connect();

await redis.set('visits:ada', 41);
await safe.drain(); // a worker does both, of what is idle: safe.worker()
const { evicted } = await safe.evict('visits:ada');
console.log(`${evicted} key is in files only`);
console.log('visits:', await redis.incr('visits:ada')); // it is back when the command runs

await redis.close();
await safe.close();
