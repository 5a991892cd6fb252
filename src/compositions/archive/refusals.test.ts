/** What Redis and the cold store refuse, and what then has not happened. */
import { createClient } from 'redis';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine, startRedis } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { memory } from '../../drivers/memory/index.ts';
import { bounded } from '../../layers/bounded/index.ts';
import { redisKeys } from './index.ts';

describeWithEngine('redis-server', 'archive, when it is refused something', () => {
  const on = new ArchiveServer();

  it('says no-space where Redis is out of memory, and goes on with what frees some', async () => {
    const { one } = on.world();
    await on.evicted(one, 'away', 'v');
    await on.frozen(one, 'frozen', 'v');
    await on.frozen(one, 'forgotten', 'v');
    await on.client.set('dirty', 'v');
    await one.dirty('dirty');
    await on.client.configSet('maxmemory', '1');
    try {
      await expect(one.dirty('frozen')).rejects.toMatchObject({ code: 'no-space' });
      await expect(one.ensure('away', 'frozen')).rejects.toMatchObject({
        code: 'no-space',
        key: 'away',
      });
      expect(await one.stats()).toMatchObject({ dirty: 1, evicted: 1 });
      expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
      expect(await one.evict('dirty', 'frozen')).toEqual({ evicted: 2, kept: [] });
      expect(await one.forget('forgotten')).toBe(1);
    } finally {
      await on.client.configSet('maxmemory', '0');
    }
    await one.ensure('away', 'frozen', 'dirty', 'forgotten');
    expect(await on.client.mGet(['away', 'frozen', 'dirty', 'forgotten'])).toEqual([
      ...['v', 'v', 'v'],
      null,
    ]);
  });

  it('freezes and evicts for the first time where Redis is out of memory', async () => {
    const { one } = on.world();
    await on.client.set('k', 'v');
    await one.dirty('k');
    await on.client.configSet('maxmemory', '1');
    try {
      expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
      expect(await one.evict('k')).toEqual({ evicted: 1, kept: [] });
    } finally {
      await on.client.configSet('maxmemory', '0');
    }
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('v');
  });

  it('says denied on a read-only replica, and changes nothing', async () => {
    const server = await startRedis();
    const own = createClient({ url: server.url });
    await own.connect();
    const hot = redisKeys(redisClients['node-redis'](server.url).client);
    const { one } = on.world({ hot });
    try {
      await own.set('away', 'v');
      await one.dirty('away');
      await one.drain();
      await one.evict('away');
      await own.set('k', 'v');
      await one.dirty('k');
      await own.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
      for (const refused of [
        () => one.dirty('k'),
        () => one.ensure('away'),
        () => one.forget('k'),
        () => one.evict('k'),
        () => one.drain(),
      ])
        await expect(refused()).rejects.toMatchObject({ code: 'denied' });
      await own.sendCommand(['REPLICAOF', 'NO', 'ONE']);
      expect(await one.stats()).toMatchObject({ dirty: 1, evicted: 1 });
      expect(await one.drain()).toMatchObject({ frozen: 1 });
      await one.ensure('away');
      expect(await own.mGet(['away', 'k'])).toEqual(['v', 'v']);
    } finally {
      own.destroy();
      await server.stop();
    }
  });

  it('keeps hot, and lists as invalid-argument, what is too large for the cold store', async () => {
    const { one } = on.world({
      cold: bounded(memory<Uint8Array>(), { maxValueBytes: 1_000 }),
    });
    await on.client.mSet({ large: 'x'.repeat(10_000), small: 'x' });
    await on.client.configSet('rdbcompression', 'no');
    await one.dirty('large', 'small');
    expect(await one.drain()).toMatchObject({
      frozen: 1,
      failed: [{ key: 'large', error: { code: 'invalid-argument' } }],
    });
    expect(await one.failed()).toMatchObject([
      { key: 'large', tries: 1, cause: { code: 'invalid-argument' } },
    ]);
    expect(await one.evict('large')).toEqual({
      evicted: 0,
      kept: [{ key: 'large', reason: 'dirty' }],
    });
    expect(await on.client.strLen('large')).toBe(10_000);
    // Made small, it is frozen with its next try.
    await on.client.set('large', 'x');
    await on.makeDue();
    expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
    expect(await one.failed()).toEqual([]);
  });

  it('gives up draining a cold store that takes nothing, and leaves the marks', async () => {
    const { one, plan } = on.world();
    const keys = Array.from({ length: 200 }, (_, n) => `k${n}`);
    await on.client.mSet(Object.fromEntries(keys.map((key) => [key, 'v'])));
    await one.dirty(...keys);
    plan.failNext('commit', 'denied', { times: 1_000 });
    const { frozen, failed } = await one.drain();
    expect(frozen).toBe(0);
    expect(failed.length).toBeGreaterThan(7);
    expect(failed.length).toBeLessThan(40);
    expect((await one.stats()).dirty).toBe(200);
    plan.heal();
    await on.makeDue();
    expect(await one.drain()).toEqual({ frozen: 200, deleted: 0, failed: [] });
  });
});
