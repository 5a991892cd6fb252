/** Counts one key of a store in Redis upwards, as a process of its own: `url library prefix times`. */
import { redis } from '../../src/drivers/redis/index.ts';
import { json } from '../../src/store/codec.ts';
import { redisClients } from './redis-clients.ts';

const [url = '', library = '', prefix = '', times = ''] = process.argv.slice(2);
const { client } = redisClients[library as keyof typeof redisClients](url);
const store = redis({ client, prefix, codec: json<number>() });
await store.set('ready', 1);
await Promise.all(
  Array.from({ length: 5 }, async () => {
    for (let i = 0; i < Number(times) / 5; i++) await store.update('count', (n = 0) => n + 1);
  }),
);
await store.close();
