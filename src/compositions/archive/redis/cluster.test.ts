/** Clients of a Redis Cluster whose keys are archived. */
import { Cluster, Redis } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../../../test/support/redis-cluster.ts';
import { memory } from '../../../drivers/memory/index.ts';
import type { Store } from '../../../store/store.ts';
import { slotOf } from '../cluster/hash-slots.ts';
import { slotKeys } from '../cluster/slot-scripts.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import { type ArchivedRedisOptions, archivedRedis } from './index.ts';

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];
const SLOT = slotOf(Buffer.from('a'));

describeWithEngine('redis-server', 'archivedRedis in a cluster', () => {
  let cluster: RedisCluster;
  let app: Cluster;
  let cold: Store<Uint8Array>;
  const ends: (() => Promise<void> | void)[] = [];

  beforeAll(async () => {
    cluster = await startRedisCluster();
    app = new Cluster([...cluster.urls]);
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    for (const { client } of cluster.nodes) await client.flushAll();
  });
  afterAll(async () => {
    app.disconnect();
    await cluster.stop();
  });

  const made = (): Archive => {
    const one = archive({ hot: redisKeys(app), cold, throttleMs: 0, leaseMs: 300 });
    ends.push(() => one.close());
    return one;
  };
  const world = (): Archive => {
    cold = memory<Uint8Array>();
    return made();
  };
  const ioredis = (one: Archive, more: Partial<ArchivedRedisOptions> = {}): Cluster => {
    const kv = archivedRedis(new Cluster([...cluster.urls]), { archive: one, ...more });
    ends.push(() => kv.disconnect());
    return kv;
  };
  const nodeRedis = async (one: Archive) => {
    const client = createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) });
    const kv = archivedRedis(client, { archive: one });
    await kv.connect();
    ends.push(() => kv.destroy());
    return kv;
  };
  const evict = async (one: Archive, ...keys: string[]): Promise<void> => {
    await one.drain();
    expect(await one.evict(...keys)).toEqual({ evicted: keys.length, kept: [] });
  };
  const marked = async (...keys: string[]): Promise<string[]> => {
    const slots = new Set(keys.map((key) => slotOf(Buffer.from(key))));
    const found = await Promise.all(
      [...slots].map((slot) => app.hkeys(slotKeys('strata-archive', slot)[1] as string)),
    );
    return found.flat().sort();
  };

  it('brings back, marks and deletes by itself: ioredis', async () => {
    const one = world();
    const kv = ioredis(one);
    expect(await Promise.all(KEYS.map((key) => kv.set(key, '1')))).toEqual(KEYS.map(() => 'OK'));
    expect(await marked(...KEYS)).toEqual(KEYS);
    await evict(one, ...KEYS);
    expect(await Promise.all(KEYS.map((key) => kv.incr(key)))).toEqual(KEYS.map(() => 2));
    expect(await marked(...KEYS)).toEqual(KEYS);
    await evict(one, ...KEYS);
    expect(await kv.exists('a')).toBe(1);
    expect(await kv.set('b', 'x', 'NX')).toBeNull();
    expect(await kv.set('c', 'new')).toBe('OK');
    expect(await kv.del('d')).toBe(1);
    expect(await kv.del('d', 'd')).toBe(0);
    expect(await kv.rename('{e}', '{e}2').catch((error: Error) => error.message)).toContain(
      'no such key',
    );
    await expect(kv.hget('e', 'x')).rejects.toThrow(/^WRONGTYPE/);
    expect(await kv.getBuffer('f')).toEqual(Buffer.from('2'));
    await one.drain();
    await one.rebuildIndex({ restore: true });
    expect(await Promise.all(KEYS.map((key) => app.get(key)))).toEqual([
      ...['2', '2', 'new', null, '2', '2'],
    ]);
  });

  it('brings back, marks and deletes by itself: node-redis', async () => {
    const one = world();
    const kv = await nodeRedis(one);
    for (const key of KEYS) expect(await kv.set(key, '1')).toBe('OK');
    await evict(one, ...KEYS);
    expect(await Promise.all(KEYS.map((key) => kv.incr(key)))).toEqual(KEYS.map(() => 2));
    expect(await marked(...KEYS)).toEqual(KEYS);
    await evict(one, ...KEYS);
    // The client takes these apart by slots itself.
    expect(await kv.mGet(KEYS)).toEqual(KEYS.map(() => '2'));
    await evict(one, ...KEYS);
    expect(await kv.del(['a', 'b', 'nothing'])).toBe(2);
    expect(await kv.sendCommand('c', false, ['APPEND', 'c', '0'])).toBe(2);
    expect(await kv.multi().incr('c').get('c').exec()).toEqual([21, '21']);
    expect(await kv.multi('{t}').set('{t}1', 'x').ping().get('{t}1').execAsPipeline()).toEqual([
      'OK',
      'PONG',
      'x',
    ]);
    expect(await kv.hGetAll('{t}h')).toEqual({});
    expect(await kv.ping()).toBe('PONG');
    await expect(kv.lPush('c', 'x')).rejects.toThrow(/^WRONGTYPE/);
    expect(await kv.mGet(KEYS)).toEqual([null, null, '21', '2', '2', '2']);
    const twin = kv.duplicate();
    await twin.connect();
    await evict(one, 'c');
    expect(await twin.incr('c')).toBe(22);
    await twin.close();
  });

  it('runs transactions, pipelines and what waits, of one slot each', async () => {
    const one = world();
    const kv = ioredis(one);
    await kv.mset('{t}n', '1', '{t}m', '2');
    await kv.rpush('l', 'a');
    await evict(one, '{t}n', '{t}m', 'l');
    expect(await kv.multi().incr('{t}n').get('{t}m').del('{t}m').exec()).toEqual([
      [null, 2],
      [null, '2'],
      [null, 1],
    ]);
    expect(await marked('{t}')).toEqual(['{t}m', '{t}n']);
    expect(await kv.pipeline().get('{t}n').lpop('l').get('none').exec()).toEqual([
      [null, '2'],
      [null, 'a'],
      [null, null],
    ]);
    const waiting = kv.blpop('l', 5);
    await kv.rpush('l', 'b');
    expect(await waiting).toEqual(['l', 'b']);
    for (const refused of [
      kv.mget('a', 'b'),
      kv.del('a', 'b'),
      kv.multi().set('a', '1').set('b', '1').exec(),
    ])
      await expect(refused).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('CROSSSLOT'),
      });
    expect(await app.exists('a')).toBe(0);
    await expect(kv.watch('a')).rejects.toMatchObject({ code: 'unsupported' });
    await expect(kv.keys('*')).rejects.toMatchObject({ code: 'unsupported' });
    await expect(kv.get('strata-archive:{1}:index')).rejects.toMatchObject({
      code: 'invalid-argument',
    });
    const allowing = ioredis(one, { allow: ['BLPOP'] });
    await kv.rpush('l', 'c', 'd');
    await evict(one, 'l');
    expect(await allowing.blpop('l', 1)).toEqual(['l', 'c']);
    await expect.poll(() => marked('l')).toEqual(['l']);
    expect(await kv.info('server')).toContain('redis_version');
    kv.defineCommand('plus', { numberOfKeys: 1, lua: `return redis.call('INCR', KEYS[1])` });
    await evict(one, '{t}n');
    expect(await (kv as unknown as { plus(key: string): Promise<number> }).plus('{t}n')).toBe(3);
    const twin = kv.duplicate();
    await evict(one, '{t}n');
    expect(await twin.get('{t}n')).toBe('3');
    twin.disconnect();
    expect(await kv.quit()).toBe('OK');
  });

  it('refuses clients of another kind or cluster, and goes on when scripts or connections are lost', async () => {
    const one = world();
    const single = new Redis(cluster.urls[0] as string, { lazyConnect: true });
    expect(() => archivedRedis(single, { archive: one })).toThrow('for a cluster');
    const kv = ioredis(one);
    expect(() => archivedRedis(kv, { archive: one })).toThrow('that has no archive yet');
    await kv.set('a', '1');
    for (const { client } of cluster.nodes) await client.scriptFlush();
    expect(await kv.get('a')).toBe('1');
    expect(await kv.incr('a')).toBe(2);
    const { client } = await cluster.owner(SLOT);
    await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    expect(await kv.get('a')).toBe('2');
    await one.drain();
    await client.configSet('maxmemory', '1');
    try {
      await expect(kv.set('a', '1')).rejects.toThrow(/^OOM/);
      expect(await kv.get('a')).toBe('2');
      expect(await kv.del('a')).toBe(1);
    } finally {
      await client.configSet('maxmemory', '0');
    }
    expect(await marked('a')).toEqual(['a']);
    const other = await startRedisCluster();
    try {
      const far = archivedRedis(new Cluster([...other.urls]), { archive: one });
      await expect(far.get('a')).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('another cluster'),
      });
      far.disconnect();
    } finally {
      await other.stop();
    }
  });

  it('loses no increment while workers evict and slots move', async () => {
    const one = world();
    const clients = [ioredis(one), await nodeRedis(made())];
    const keys = ['{a}1', '{a}2', 'b', 'c'];
    const worker = made();
    let total = 0;
    let evicted = 0;
    const work = async (): Promise<void> => {
      await worker.drain().catch(ofMove);
      evicted += (await worker.evict(...keys).catch(ofMove))?.evicted ?? 0;
    };
    const move = async (): Promise<void> => {
      const from = await cluster.owner(SLOT);
      const to = cluster.nodes.find((node) => node !== from) as ClusterNode;
      await cluster.beginMove(SLOT, to);
      while ((await cluster.moveKeys(SLOT, to, 1)) > 0);
      await cluster.endMove(SLOT, to);
    };
    const increment = async (): Promise<void> => {
      const values = await Promise.all(
        clients.flatMap((kv) => keys.map((key) => [kv.incr(key), kv.incr(key)])).flat(),
      );
      total += 4;
      expect(Math.max(...values)).toBe(total);
    };
    for (let round = 0; round < 24; round++) {
      const others = round % 3 === 0 ? [] : [work()];
      await Promise.all([increment(), move(), ...others]);
      // Undisturbed, so that there is something to bring back.
      if (round % 2 === 0) await work();
    }
    expect(evicted).toBeGreaterThan(24);
    const values = await Promise.all(keys.map((key) => clients[0]?.get(key)));
    expect(values).toEqual(keys.map(() => String(total)));
    await work();
    await worker.ensure(...keys);
    expect(await Promise.all(keys.map((key) => app.get(key)))).toEqual(values);
  }, 60_000);
});

/** What a step says that took too long. */
function ofMove(error: { code?: string }): undefined {
  expect(['unavailable', 'timeout', 'unknown-outcome']).toContain(error.code);
}
