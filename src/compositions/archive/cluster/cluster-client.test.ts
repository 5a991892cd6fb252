import * as ioredis from 'ioredis';
import * as nodeRedis from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { type RedisCluster, startRedisCluster } from '../../../../test/support/redis-cluster.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { ioRedisClusterOf, nodeRedisClusterOf } from '../../../drivers/redis/cluster-client.ts';
import { type Archive, archive, type RedisKeysClient, redisKeys } from '../index.ts';

describeWithEngine('redis-server', 'a client for the addresses of a cluster', () => {
  const password = 's:e/c r@t';
  let cluster: RedisCluster;
  let app: ioredis.Cluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    for (const { client } of cluster.nodes)
      for (const rule of [
        ['app', 'on', `>${password}`, '~*', '&*', '+@all'],
        ['default', '-@write'],
      ])
        await client.sendCommand(['ACL', 'SETUSER', ...rule]);
    app = new ioredis.Cluster([...urlsFor(password)], {
      redisOptions: { username: 'app', password },
    });
  });
  afterAll(async () => {
    app.disconnect();
    await cluster.stop();
  });

  const urlsFor = (secret: string): readonly string[] =>
    cluster.urls
      .slice(0, 2)
      .map((url) => url.replace('://', `://app:${encodeURIComponent(secret)}@`));
  const archiveOf = (client: RedisKeysClient): Archive =>
    archive({ hot: redisKeys(client, { prefix: 'k' }), cold: memory<Uint8Array>() });
  const libraries: Record<string, (urls: readonly string[]) => RedisKeysClient> = {
    'node-redis': (urls) => nodeRedisClusterOf(nodeRedis, urls),
    ioredis: (urls) => ioRedisClusterOf(ioredis, urls),
  };

  it.each(Object.keys(libraries))('reaches all nodes as the user named, by %s', async (name) => {
    const clientOf = libraries[name] as (urls: readonly string[]) => RedisKeysClient;
    const one = archiveOf(clientOf(urlsFor(password)));
    const keys = Array.from({ length: 30 }, (_, n) => `k ${name} ${n}`);
    for (const key of keys) await app.set(key, `value of ${key}`);
    await one.dirty(...keys);
    expect((await one.drain()).frozen).toBe(30);
    expect((await one.evict(...keys)).evicted).toBe(30);
    for (const key of keys) expect(await app.exists(key)).toBe(0);
    await one.ensure(...keys);
    for (const key of keys) expect(await app.get(key)).toBe(`value of ${key}`);
    await one.close();

    const refused = archiveOf(clientOf(urlsFor('another')));
    await expect(refused.stats()).rejects.toMatchObject({ code: 'denied' });
    await refused.close();
  });
});
