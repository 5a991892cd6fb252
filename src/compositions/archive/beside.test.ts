/** Archives beside others: of the same Redis, and over cold stores that other processes have copies of. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { memory } from '../../drivers/memory/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { text } from '../../store/codec.ts';
import { tiered } from '../tiered/index.ts';
import { type Archive, redisKeys } from './index.ts';

describeWithEngine('redis-server', 'an archive beside others', () => {
  const on = new ArchiveServer();

  async function settled(one: Archive): Promise<void> {
    for (let pass = 0; pass < 3; pass++) {
      await on.client.set('idle', 'for as long as what the other has');
      await expect
        .poll(() => on.client.objectIdleTime('idle'), { timeout: 10_000 })
        .toBeGreaterThan(0);
      await one.evictIdle();
      await on.makeDue();
      await one.drain();
    }
  }

  it('leaves alone what another archive of the same Redis keeps of its keys', async () => {
    const { one, another } = on.world({ evictAfterMs: 1 });
    const client = redisClients['node-redis'](on.url).client;
    const other = another({ hot: redisKeys(client, { namespace: 'other', prefix: 'o:' }) });
    await on.evicted(other, 'o:1', 'evicted');
    await on.frozen(other, 'o:2', 'frozen');
    await on.client.set('o:3', 'marked');
    await other.dirty('o:3');
    const own = (await on.client.keys('other:*')).sort();
    expect(await one.verify()).toMatchObject({ checked: 2, differing: 2, missing: 0 });
    await settled(one);
    expect((await on.client.keys('other:*')).sort()).toEqual(own);
    await other.ensure('o:1');
    expect(await on.client.get('o:1')).toBe('evicted');
  });

  it('evicts idle keys whose names are like those that archives have', async () => {
    const { one } = on.world({ evictAfterMs: 60_000 });
    const keys = ['user:id', 'user:due', 'user:evicted:7', 'game:clock'];
    for (const key of keys) await on.frozen(one, key, '1234567');
    const idle = `return redis.call('RESTORE', KEYS[1], 0, redis.call('DUMP', KEYS[1]), 'REPLACE', 'IDLETIME', 61)`;
    for (const key of keys) await on.client.eval(idle, { keys: [key] });
    expect(await one.evictIdle()).toEqual({ evicted: keys.length, kept: [] });
  });

  it('leaves alone the keys of a store in the same Redis', async () => {
    const { one } = on.world({ evictAfterMs: 1 });
    const client = redisClients['node-redis'](on.url).client;
    await using store = redis({ client, prefix: 'a:b c', codec: text() });
    await store.setMany([
      ['k', 'v'],
      ['gone', 'v'],
    ]);
    await store.delete('gone');
    await on.client.hSet('{no store}:data', 'k', 'v');
    const { differences } = await one.verify();
    expect(differences).toEqual([{ key: '{no store}:data', code: 'unfrozen' }]);
    await settled(one);
    expect((await on.client.keys('{*}:*')).length).toBeGreaterThan(3);
    expect(await one.evict('{a:b c}:data')).toMatchObject({ evicted: 0 });
    expect(await store.get('k')).toBe('v');
    expect(await on.client.exists('{no store}:data')).toBe(0);
  });

  it('asks the cold store itself, where processes have copies of it', async () => {
    const { cold, another } = on.world();
    const near = () => tiered({ front: memory<Uint8Array>(), back: cold });
    const [one, two] = [another({ cold: near() }), another({ cold: near() })];
    await on.evicted(one, 'k', 'first');
    await two.ensure('k');
    await on.evicted(one, 'k', 'second');
    await two.ensure('k');
    expect(await on.client.get('k')).toBe('second');
  });

  it('evicts nothing by a copy that is older than the cold store', async () => {
    const { cold, another } = on.world();
    const near = () => tiered({ front: memory<Uint8Array>(), back: cold });
    const [one, two] = [another({ cold: near() }), another({ cold: near() })];
    await on.evicted(one, 'k', 'first');
    await two.ensure('k');
    await on.frozen(one, 'k', 'second');
    await on.client.set('k', 'first');
    expect(await two.evict('k')).toMatchObject({ evicted: 0, kept: [{ reason: 'dirty' }] });
    await on.makeDue();
    await two.drain();
    await two.evict('k');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('first');
  });
});
