/** Values of all types over a cluster: by their logical form, rebuilt, and verified. */
import { createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { type RedisCluster, startRedisCluster } from '../../../../test/support/redis-cluster.ts';
import { type SampleKey, sampleKeys } from '../../../../test/support/redis-values.ts';
import { memory } from '../../../drivers/memory/index.ts';
import type { Store } from '../../../store/store.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import type { ValueForm } from '../logical/taken.ts';
import { slotOf } from './hash-slots.ts';

describeWithEngine('redis-server', 'archive over a Redis Cluster, as a whole', () => {
  let cluster: RedisCluster;
  const open: Archive[] = [];
  beforeAll(async () => {
    cluster = await startRedisCluster(['--enable-debug-command', 'local']);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
    for (const { client } of cluster.nodes) await client.flushAll();
  });
  afterAll(() => cluster.stop());

  function made(form: ValueForm, cold: Store<Uint8Array> = memory<Uint8Array>()): Archive {
    const client = createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) });
    const one = archive({ hot: redisKeys(client, { form }), cold, throttleMs: 0 });
    open.push(one);
    return one;
  }

  const sent = async (key: Buffer, words: readonly (string | Buffer)[]): Promise<unknown> => {
    const { client } = await cluster.owner(slotOf(key));
    return client.sendCommand(words as string[]);
  };
  const digest = ({ key }: SampleKey): Promise<unknown> =>
    sent(key, ['DEBUG', 'DIGEST-VALUE', key]);

  async function written(one: Archive): Promise<{ keys: SampleKey[]; names: Buffer[] }> {
    const keys = [...sampleKeys(70, 21, Date.now())];
    for (const { key, commands } of keys) for (const words of commands) await sent(key, words);
    const names = keys.map(({ key }) => key);
    await one.dirty(...names);
    expect((await one.drain()).failed).toEqual([]);
    return { keys, names };
  }

  it('brings back a large value by its logical form, staged in its slot', async () => {
    const one = made('logical');
    const key = Buffer.from('a list');
    const members = Array.from({ length: 70_000 }, (_, n) => `a member of a list ${n}`);
    await sent(key, ['RPUSH', key, ...members]);
    const before = await sent(key, ['DEBUG', 'DIGEST-VALUE', key]);
    await one.dirty(key);
    await one.drain();
    expect(await one.evict(key)).toMatchObject({ evicted: 1 });
    await one.ensure(key);
    expect(await sent(key, ['DEBUG', 'DIGEST-VALUE', key])).toEqual(before);
    expect(await sent(key, ['KEYS', '*:staging:*'])).toEqual([]);
  });

  it('leaves out of verifying what another archive keeps for itself', async () => {
    const one = made('both');
    const client = createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) });
    const hot = redisKeys(client, { namespace: 'other', prefix: 'o:' });
    const other = archive({ hot, cold: memory<Uint8Array>(), throttleMs: 0 });
    open.push(other);
    for (const key of ['o:1', 'o:2']) await sent(Buffer.from(key), ['SET', key, 'v']);
    await other.dirty('o:1', 'o:2');
    await other.drain();
    await other.dirty('o:1', 'o:2');
    const own = Buffer.from('user:{42}:id');
    await sent(own, ['SET', own, 'v']);
    const { differences } = await one.verify();
    expect(differences.map(({ key, code }) => `${code} ${key}`).sort()).toEqual([
      'unfrozen o:1',
      'unfrozen o:2',
      'unfrozen user:{42}:id',
    ]);
  });

  it('brings back a cluster that was lost', async () => {
    const cold = memory<Uint8Array>();
    const one = made('both', cold);
    const { keys, names } = await written(one);
    const before = await Promise.all(keys.map(digest));
    await one.evict(...names.slice(0, 40));
    expect(await one.verify()).toMatchObject({
      equal: 30,
      evicted: 40,
      differences: [],
      missing: 0,
    });
    for (const { client } of cluster.nodes) await client.flushAll();
    const heir = made('both', cold);
    await expect(heir.verify()).rejects.toMatchObject({ code: 'denied' });
    const rebuilt = await heir.rebuildIndex({ restore: true });
    expect(rebuilt).toMatchObject({ objects: 70, recorded: 70, restored: 70, failures: 0 });
    expect(await Promise.all(keys.map(digest))).toEqual(before);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  });
});
