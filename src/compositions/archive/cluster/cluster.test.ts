import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { faultyCold } from '../../../../test/support/faulty-cold.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../../../test/support/redis-cluster.ts';
import { memory } from '../../../drivers/memory/index.ts';
import type { Store } from '../../../store/store.ts';
import { FaultPlan } from '../../../testing/index.ts';
import { type Archive, archive, type RedisKeysClient, redisKeys } from '../index.ts';
import { slotOf } from './hash-slots.ts';

describeWithEngine('redis-server', 'archive over a Redis Cluster', () => {
  let cluster: RedisCluster;
  let app: Cluster;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    cluster = await startRedisCluster(['--enable-debug-command', 'local']);
    app = new Cluster(cluster.urls.map((url) => url));
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
    for (const { client } of cluster.nodes) await client.flushAll();
  });
  afterAll(async () => {
    app.disconnect();
    await cluster.stop();
  });

  const clients: Record<string, () => RedisKeysClient> = {
    ioredis: () =>
      new Cluster(
        cluster.urls.map((url) => url),
        { lazyConnect: true },
      ),
    'node-redis': () => createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) }),
  };

  interface World {
    readonly cold: Store<Uint8Array>;
    readonly plan: FaultPlan;
    readonly one: Archive;
    another(timeoutMs?: number): Archive;
  }

  function world(library = 'ioredis'): World {
    const plan = new FaultPlan();
    const cold = faultyCold(plan);
    const another = (timeoutMs = 5_000): Archive => {
      const hot = redisKeys((clients[library] as () => RedisKeysClient)(), { timeoutMs });
      const made = archive({ hot, cold, throttleMs: 0, evictAfterMs: 1 });
      open.push(made);
      return made;
    };
    return { cold, plan, one: another(), another };
  }

  const evicted = async (one: Archive, key: string, value: string): Promise<void> => {
    await app.set(key, value);
    await one.dirty(key);
    expect(await one.drain()).toMatchObject({ failed: [] });
    expect(await one.evict(key)).toEqual({ evicted: 1, kept: [] });
    expect(await app.exists(key)).toBe(0);
  };

  it('is the owner of its cold store, and not any more when it was emptied', async () => {
    const { one, another } = world();
    await evicted(one, 'k', 'v');
    for (const { client } of cluster.nodes) await client.flushAll();
    await app.set('new', 'v');
    await one.dirty('new');
    expect(await one.drain()).toMatchObject({ failed: [{ error: { code: 'denied' } }] });
    const after = another();
    expect(await after.rebuildIndex({ restore: true })).toMatchObject({ restored: 1 });
    await one.dirty('k');
    expect(await one.drain()).toMatchObject({ failed: [] });
    expect(await app.get('k')).toBe('v');
  });

  const binary = Buffer.from([0xff, 0, 0xfe]);
  const written: Record<string, () => Promise<unknown>> = {
    string: () => app.set('string', 'value'),
    hash: () => app.hset('hash', { a: '1', b: '\0' }),
    list: () => app.rpush('list', 'a', 'b', 'a'),
    set: () => app.sadd('set', 'a', 'b', '3'),
    zset: () => app.zadd('zset', 1.5, 'a', -2, 'b'),
    stream: () => app.xadd('stream', '1-1', 'a', '1'),
    expiring: () => app.set('expiring', 'value', 'PXAT', 4_000_000_000_123),
    '': () => app.set('', 'the empty key'),
    ['long'.repeat(250)]: () => app.set('long'.repeat(250), 'a long key'),
    'foo:♡': () => app.set('foo:♡', '1'),
    'foo:♥': () => app.set('foo:♥', '2'),
    'foo:?': () => app.set('foo:?', '3'),
    '{user}:1': () => app.set('{user}:1', '4'),
    '{user}:2': () => app.set('{user}:2', '5'),
    '{}{user}:3': () => app.set('{}{user}:3', '6'),
  };

  const digestOf = async (key: string | Buffer): Promise<unknown> => {
    const { client } = await cluster.owner(slotOf(Buffer.from(key)));
    return client.sendCommand(['DEBUG', 'DIGEST-VALUE', key as string]);
  };

  it.each(['ioredis', 'node-redis'])('keeps keys of many slots: %s', async (library) => {
    const { one } = world(library);
    for (const write of Object.values(written)) await write();
    await app.set(binary, 'a binary key');
    const keys = [...Object.keys(written), binary];
    const before = await Promise.all(keys.map(digestOf));
    await expect(one.dirty('gone', ...keys, 'missing')).rejects.toMatchObject({
      code: 'invalid-argument',
      details: { missing: ['gone', 'missing'] },
    });
    expect(await one.stats()).toMatchObject({ dirty: keys.length, evicted: 0 });
    expect(await one.drain()).toEqual({ frozen: keys.length, deleted: 0, failed: [] });
    expect(await one.evict(...keys)).toEqual({ evicted: keys.length, kept: [] });
    for (const key of keys) expect(await app.exists(key)).toBe(0);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: keys.length });
    await one.ensure(...keys);
    expect(await Promise.all(keys.map(digestOf))).toEqual(before);
    expect(await app.pexpiretime('expiring')).toBe(4_000_000_000_123);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
    expect(await one.forget('string', 'gone', '{user}:1')).toBe(2);
    await one.ensure('string', '{user}:1');
    expect(await app.exists('string')).toBe(0);
  });

  it('evicts what was idle on every node', async () => {
    const { one } = world();
    const keys = Array.from({ length: 300 }, (_, n) => `k${n}`);
    await Promise.all(keys.map((key) => app.set(key, key)));
    await one.dirty(...keys);
    await one.drain();
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await one.evictIdle()).toEqual({ evicted: 300, kept: [] });
    await one.ensure(...keys);
    expect(await Promise.all(keys.map((key) => app.get(key)))).toEqual(keys);
  });

  it('loses no mark while the cold store is away, and freezes what was changed unmarked', async () => {
    const { one, another, plan } = world();
    await evicted(one, 'k', 'old');
    await app.set('k', 'new');
    await one.ensure('k');
    plan.failNext('read', 'unavailable', { times: 8 });
    plan.failNext('commit', 'unavailable', { times: 8 });
    expect((await one.drain()).failed).toMatchObject([{ key: 'k' }]);
    expect(await one.failed()).toMatchObject([{ key: 'k', tries: 1 }]);
    expect(await one.evict('k')).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
    plan.heal();
    await another().forget('other');
    await one.dirty('k');
    await expect.poll(async () => (await one.drain()).frozen, { timeout: 5_000 }).toBe(1);
    await app.append('k', '!');
    expect(await one.evict('k')).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
    await one.drain();
    await one.evict('k');
    await Promise.all([one.ensure('k'), another().ensure('k')]);
    expect(await app.get('k')).toBe('new!');
  });

  /** A slot with keys that are hot, marked and evicted. */
  const slot = slotOf(Buffer.from('{user}'));
  const elsewhere = async (): Promise<ClusterNode> => {
    const owner = await cluster.owner(slot);
    return cluster.nodes.find((node) => node !== owner) as ClusterNode;
  };

  it('takes what it knows of a slot along when the slot moves', async () => {
    const { one, another } = world();
    await evicted(one, '{user}:away', 'v');
    await app.set('{user}:marked', 'v');
    await one.dirty('{user}:marked');
    const to = await elsewhere();
    await cluster.beginMove(slot, to);
    expect(await cluster.moveKeys(slot, to, 100)).toBe(0);
    await cluster.endMove(slot, to);
    // One that has seen the slot elsewhere, and one that has not seen anything.
    expect(await one.drain()).toMatchObject({ frozen: 1 });
    await another().ensure('{user}:away');
    expect(await app.get('{user}:away')).toBe('v');
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  });

  it('waits while a slot is half moved, and takes no key for deleted', async () => {
    const { one, another } = world();
    const hasty = another(300);
    await evicted(one, '{user}:away', 'v');
    await app.set('{user}:marked', 'v');
    await one.dirty('{user}:marked');
    await app.set('{user}:hot', 'v');
    const to = await elsewhere();
    await cluster.beginMove(slot, to);
    // Every state between: none, one, two … of the keys have moved.
    for (let left = -1; left !== 0; ) {
      for (const step of [
        () => hasty.ensure('{user}:away', '{user}:hot'),
        () => hasty.dirty('{user}:hot'),
        () => hasty.evict('{user}:hot'),
        () => hasty.drain(),
      ]) {
        // In doubt where its time ended while it was under way.
        await step().catch(({ code }) =>
          expect(['unavailable', 'unknown-outcome']).toContain(code),
        );
      }
      left = await cluster.moveKeys(slot, to, 1);
    }
    // Begun before the end of the move, done after it.
    const waiting = one.ensure('{user}:away', '{user}:hot', '{user}:marked');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await cluster.endMove(slot, to);
    await waiting;
    await one.drain();
    for (const key of ['{user}:away', '{user}:marked', '{user}:hot'])
      expect(await app.get(key)).toBe('v');
    await one.dirty('{user}:hot');
    const { deleted, failed } = await one.drain();
    expect({ deleted, failed }).toEqual({ deleted: 0, failed: [] });
    const keys = ['{user}:away', '{user}:marked', '{user}:hot'];
    expect(await one.evict(...keys)).toEqual({ evicted: 3, kept: [] });
    await one.ensure(...keys);
    for (const key of keys) expect(await app.get(key)).toBe('v');
  });

  it('leaves alone what another archive of the same cluster keeps of its keys', async () => {
    const { one } = world();
    const client = (clients.ioredis as () => RedisKeysClient)();
    const hot = redisKeys(client, { namespace: 'other', prefix: 'o:' });
    const other = archive({ hot, cold: memory(), throttleMs: 0 });
    open.push(other);
    await evicted(other, 'o:1', 'v');
    await app.set('o:2', 'v');
    await other.dirty('o:2');
    const own = async (): Promise<string[]> => {
      const nodes = cluster.nodes.map(({ client: node }) => node.keys('other:*'));
      return (await Promise.all(nodes)).flat().sort();
    };
    const before = await own();
    for (let pass = 0; pass < 2; pass++) {
      await app.set('idle', 'for as long as what the other has');
      await expect
        .poll(() => app.object('IDLETIME', 'idle'), { timeout: 10_000 })
        .toBeGreaterThan(0);
      await one.evictIdle();
      await one.drain();
    }
    expect(before).toContain('other:slots');
    expect(await own()).toEqual(before);
    await other.ensure('o:1');
    expect(await app.get('o:1')).toBe('v');
  });

  it('refuses the client of one server, and a prefix of the client', async () => {
    const [node] = cluster.nodes as [ClusterNode];
    const one = archive({ hot: redisKeys(node.client), cold: memory() });
    await expect(one.stats()).rejects.toMatchObject({ code: 'unsupported' });
    await one.close();
    const prefixed = new Cluster([...cluster.urls], { lazyConnect: true, keyPrefix: 'a:' });
    expect(() => redisKeys(prefixed)).toThrow(/keyPrefix is "a:"/);
  });

  it('says that the cluster is away', async () => {
    const client = new Cluster(['redis://127.0.0.1:1'], { lazyConnect: true });
    const one = archive({ hot: redisKeys(client), cold: memory() });
    await expect(one.ensure('k')).rejects.toMatchObject({ code: 'unavailable' });
    await one.close();
  });
});
