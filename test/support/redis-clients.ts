/** The two client libraries that the Redis driver accepts, for tests that run with each. */
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import type { IoRedisClient, NodeRedisClient } from '../../src/drivers/redis/index.ts';

/** A client as a user would pass it, and how the test ends it. */
export interface TestClient {
  readonly client: IoRedisClient | NodeRedisClient;
  end(): void;
}

/** Makes a client of an address, by library; neither is connected. */
export const redisClients: Readonly<Record<'ioredis' | 'node-redis', (url: string) => TestClient>> =
  {
    ioredis: (url) => {
      const client = new Redis(url, { lazyConnect: true });
      return { client, end: () => client.disconnect() };
    },
    'node-redis': (url) => {
      const client = createClient({ url });
      return { client, end: () => client.destroy() };
    },
  };
