/** Records of evicted keys from nothing but the cold store. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { digestOf, sampleKeys, writeSamples } from '../../../test/support/redis-values.ts';
import { type Archive, redisKeys } from './index.ts';

describeWithEngine('redis-server', 'rebuilding the records of an archive', () => {
  const on = new ArchiveServer();

  const none = {
    recorded: 0,
    evicted: 0,
    restored: 0,
    hot: 0,
    deleted: 0,
    expired: 0,
    foreign: 0,
    failures: 0,
    failed: [],
  };

  it('brings back a hot side that was lost, values and expiry of all types and names', async () => {
    const { one, another } = on.world();
    const keys = [...sampleKeys(140, 3, Date.now())];
    await writeSamples(on.client, keys);
    await on.client.set('long'.repeat(300), 'a name that only the object tells');
    const names = [...keys.map(({ key }) => key), 'long'.repeat(300)];
    const before = await Promise.all(keys.map((key) => digestOf(on.client, key)));
    await one.dirty(...names);
    await one.drain();
    await one.evict(...names.slice(0, 70));
    await on.client.flushAll();
    const told: number[] = [];
    const rebuilt = await another().rebuildIndex({
      restore: true,
      onProgress: ({ objects }) => told.push(objects),
    });
    expect(rebuilt).toEqual({ ...none, objects: 141, recorded: 141, restored: 141 });
    expect(told.at(-1)).toBe(141);
    expect(await Promise.all(keys.map((key) => digestOf(on.client, key)))).toEqual(before);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  });

  it('records what is in the cold store only, and leaves it there until it is asked for (A26)', async () => {
    const { one } = on.world();
    for (const key of ['a', 'b', 'hot']) await on.frozen(one, key, key);
    await one.evict('a', 'b');
    await on.client.flushAll();
    await on.client.set('hot', 'hot');
    expect(await one.rebuildIndex()).toEqual({ ...none, objects: 3, recorded: 2, hot: 1 });
    expect(await one.stats()).toMatchObject({ evicted: 2 });
    expect(await on.client.exists(['a', 'b'])).toBe(0);
    expect(await one.rebuildIndex()).toEqual({ ...none, objects: 3, evicted: 2, hot: 1 });
    await one.ensure('a', 'b');
    expect(await on.client.mGet(['a', 'b', 'hot'])).toEqual(['a', 'b', 'hot']);
    expect(await one.stats()).toMatchObject({ evicted: 0 });
  });

  it('raises the clock above all that it sees, so that what is frozen next is newer', async () => {
    const { one } = on.world();
    for (let n = 0; n < 20; n++) await on.frozen(one, 'k', `v${n}`);
    await one.evict('k');
    await on.client.flushAll();
    await one.rebuildIndex({ restore: true });
    expect(Number(await on.client.get('strata-archive:clock'))).toBeGreaterThanOrEqual(20);
    await on.client.set('k', 'next');
    await one.dirty('k');
    expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
    await one.evict('k');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('next');
  });

  it('resurrects nothing that was forgotten or has expired', async () => {
    const { one } = on.world();
    await on.evicted(one, 'forgotten', 'v');
    await on.frozen(one, 'stays', 'v');
    await one.forget('forgotten');
    await on.client.set('brief', 'v', { PX: 1_000 });
    await one.dirty('brief');
    await one.drain();
    await one.evict('brief');
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await on.client.flushAll();
    expect(await one.rebuildIndex({ restore: true })).toEqual({
      ...none,
      objects: 3,
      recorded: 1,
      restored: 1,
      deleted: 1,
      expired: 1,
    });
    await one.ensure('forgotten', 'brief', 'stays');
    expect(await on.client.exists(['forgotten', 'brief'])).toBe(0);
    expect(await one.stats()).toMatchObject({ evicted: 0 });
  });

  it('leaves a key alone that is forgotten, or written, while its object is read', async () => {
    const { one, another, plan } = on.world();
    await on.frozen(one, 'forgotten', 'old');
    await on.frozen(one, 'written', 'old');
    // All but its name: one that has lost that too freezes nothing until it is rebuilt.
    const id = String(await on.client.get('strata-archive:id'));
    await on.client.flushAll();
    await on.client.set('strata-archive:id', id);
    plan.hangNext('read', { applied: true, times: 2 });
    const rebuilding = one.rebuildIndex();
    await expect.poll(() => plan.hanging).toBe(2);
    await another().forget('forgotten');
    await on.frozen(another(), 'written', 'new');
    plan.release();
    expect(await rebuilding).toMatchObject({ recorded: 0, hot: 2 });
    await one.ensure('forgotten', 'written');
    expect(await on.client.mGet(['forgotten', 'written'])).toEqual([null, 'new']);
    expect(await one.stats()).toMatchObject({ evicted: 0, dirty: 0 });
  });

  it('keeps no record of a key that is written while its object is read, and expires unmarked', async () => {
    const { one, plan } = on.world();
    await on.frozen(one, 'k', 'old');
    await on.client.flushAll();
    plan.hangNext('read', { applied: true });
    const rebuilding = one.rebuildIndex();
    await expect.poll(() => plan.hanging).toBe(1);
    await on.client.set('k', 'new', { PX: 500 });
    plan.release();
    expect(await rebuilding).toMatchObject({ recorded: 0, hot: 1 });
    await expect.poll(() => on.client.exists('k'), { timeout: 10_000 }).toBe(0);
    await one.ensure('k');
    expect(await on.client.get('k')).toBe(null);
  });

  it('leaves a deletion to its worker that has yet to reach the cold store', async () => {
    const { one, plan } = on.world();
    await on.evicted(one, 'k', 'v');
    plan.failNext('commit');
    await expect(one.forget('k')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await one.rebuildIndex({ restore: true })).toMatchObject({ hot: 1, restored: 0 });
    expect(await on.client.exists('k')).toBe(0);
  });

  it('is safe beside workers, writers and deletes', async () => {
    const { one, another } = on.world({ leaseMs: 50 });
    const [two, three] = [another(), another()];
    const names = Array.from({ length: 40 }, (_, n) => `k${n}`);
    const expected = new Map<string, string>();
    const write = async (safe: Archive, name: string, value: string): Promise<void> => {
      await safe.ensure(name);
      await on.client.set(name, value);
      expected.set(name, value);
      await safe.dirty(name).catch(() => undefined);
    };
    for (const name of names) await write(one, name, 'first');
    await one.drain();
    let busy = true;
    const writers = (async () => {
      for (let n = 0; n < 120; n++) {
        const name = names[(n * 7) % names.length] as string;
        if (n % 5 !== 0) await write(two, name, `v${n}`);
        else {
          expected.delete(name);
          await two.forget(name);
        }
      }
      busy = false;
    })();
    const workers = (async () => {
      while (busy) {
        await three.drain();
        await three.evict(...names);
      }
    })();
    while (busy) expect((await one.rebuildIndex()).failed).toEqual([]);
    await Promise.all([writers, workers]);
    await one.ensure(...names);
    expect(await on.client.mGet(names)).toEqual(names.map((name) => expected.get(name) ?? null));
  });

  it('tells of objects that do not open, keeps them from being taken for deleted, and goes on', async () => {
    const { one, cold } = on.world();
    const long = 'long'.repeat(300);
    for (const key of ['damaged', 'fine', long]) await on.evicted(one, key, 'v');
    for (const name of await Array.fromAsync(cold.keys()))
      if (!/fine$|\/id$/.test(name))
        await cold.update(name, (bytes) => bytes?.with(60, (bytes[60] ?? 0) ^ 1));
    await on.client.flushAll();
    const { failed, ...counts } = await one.rebuildIndex({ restore: true });
    expect(counts).toMatchObject({ objects: 3, recorded: 1, restored: 1, failures: 2 });
    expect(failed.map(({ key }) => key).sort()).toEqual([
      'damaged',
      expect.stringMatching(/^strata-archive\/h\//),
    ]);
    expect(failed.map(({ error }) => (error as { code: string }).code)).toEqual([
      'corrupt',
      'corrupt',
    ]);
    await expect(one.ensure('damaged')).rejects.toMatchObject({ code: 'corrupt', key: 'damaged' });
    expect(await on.client.get('fine')).toBe('v');
  });

  it('stops where the cold store is away or the caller says so, and is run again', async () => {
    const { one, plan } = on.world();
    for (const key of ['a', 'b', 'c']) await on.evicted(one, key, key);
    await on.client.flushAll();
    plan.failNext('read', 'unavailable', { after: 1 });
    await expect(one.rebuildIndex()).rejects.toMatchObject({ code: 'unavailable' });
    const controller = new AbortController();
    controller.abort();
    const { signal } = controller;
    await expect(one.rebuildIndex({ signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(await one.rebuildIndex({ restore: true })).toMatchObject({ restored: 3 });
    expect(await on.client.mGet(['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
    await expect(one.rebuildIndex({ restore: 1 } as never)).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });

  it('keeps to its prefix and to names that are its own', async () => {
    const hot = redisKeys(redisClients['node-redis'](on.url).client, { prefix: 'a' });
    const { one, another, cold } = on.world();
    for (const key of ['a1', 'b1']) await on.evicted(one, key, key);
    await cold.set('strata-archive/x/not hexadecimal', new Uint8Array(9));
    await cold.set('strata-archive/other', new Uint8Array(9));
    await cold.set('elsewhere', new Uint8Array(9));
    await on.client.flushAll();
    const rebuilt = await another({ hot }).rebuildIndex({ restore: true });
    expect(rebuilt).toEqual({ ...none, objects: 4, recorded: 1, restored: 1, foreign: 3 });
    expect(await on.client.exists(['a1', 'b1'])).toBe(1);
  });
});
