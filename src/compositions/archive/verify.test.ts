import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { sampleKeys, writeSamples } from '../../../test/support/redis-values.ts';

describeWithEngine('redis-server', 'verifying an archive', () => {
  const on = new ArchiveServer();

  it('finds nothing where all is well, hot, evicted, marked and forgotten', async () => {
    const { one } = on.world();
    const keys = [...sampleKeys(70, 5, Date.now())];
    await writeSamples(on.client, keys);
    const names = keys.map(({ key }) => key);
    await one.dirty(...names);
    await one.drain();
    await one.evict(...names.slice(0, 30));
    await one.forget(names[69] as Buffer);
    await one.dirty(names[68] as Buffer);
    const told: number[] = [];
    const found = await one.verify({ onProgress: ({ checked }) => told.push(checked) });
    expect(found).toEqual({
      checked: 70,
      equal: 38,
      dirty: 1,
      evicted: 30,
      gone: 1,
      differing: 0,
      differences: [],
      missing: 0,
    });
    expect(told.at(-1)).toBe(70);
  });

  it('takes a value for what it is, in whatever order its members are', async () => {
    const { one } = on.world();
    const members = Array.from({ length: 500 }, (_, n) => `member ${n}`);
    await on.client.sAdd('set', members);
    await one.dirty('set');
    await one.drain();
    const before = await on.client.dump('set');
    await one.evict('set');
    await one.ensure('set');
    expect(await on.client.dump('set')).not.toEqual(before);
    expect(await one.verify()).toMatchObject({ equal: 1, differences: [] });
    await on.client.sRem('set', 'member 7');
    expect(await one.verify()).toMatchObject({ differences: [{ key: 'set', code: 'stale' }] });
  });

  it('names each key with what is wrong with it, and changes nothing', async () => {
    const { one, cold } = on.world();
    const keys = [
      'corrupt',
      'corrupt but hot',
      'gone',
      'older',
      'stale',
      'stale expiry',
      'unrecorded',
    ];
    for (const key of keys) await on.frozen(one, key, key);
    const older = (await cold.get('strata-archive/k/older')) as Uint8Array;
    await on.frozen(one, 'older', 'newer');
    await one.evict('corrupt', 'gone', 'older');
    for (const name of ['corrupt', 'corrupt but hot'])
      await cold.update(`strata-archive/k/${name}`, (bytes) =>
        bytes?.with(60, (bytes[60] ?? 0) ^ 1),
      );
    await cold.delete('strata-archive/k/gone');
    await cold.set('strata-archive/k/older', older);
    await on.client.append('stale', '!');
    await on.client.pExpire('stale expiry', 600_000);
    await on.client.del('unrecorded');
    await on.client.set('unfrozen', 'v');
    const before = await stateOf();
    const { differences, ...counts } = await one.verify();
    expect(await stateOf()).toEqual(before);
    expect(counts).toMatchObject({ checked: 7, equal: 0, differing: 7, missing: 1 });
    expect(Object.fromEntries(differences.map(({ key, code }) => [key, code]))).toEqual({
      corrupt: 'corrupt',
      'corrupt but hot': 'corrupt',
      older: 'data-missing',
      stale: 'stale',
      'stale expiry': 'stale',
      unrecorded: 'unrecorded',
      unfrozen: 'unfrozen',
    });
  });

  async function stateOf(): Promise<unknown> {
    const names = (await on.client.keys('*')).sort();
    const dumps = names.map((name) => on.client.sendCommand(['DEBUG', 'DIGEST-VALUE', name]));
    return [names, await Promise.all(dumps)];
  }

  it('looks at a share, and says so of no share', async () => {
    const { one } = on.world();
    const names = Array.from({ length: 400 }, (_, n) => `k${n}`);
    await on.client.mSet(Object.fromEntries(names.map((name) => [name, name])));
    await one.dirty(...names);
    await one.drain();
    const { checked, equal, ...found } = await one.verify({ sample: 0.25 });
    expect(checked).toBe(equal);
    expect(checked).toBeGreaterThan(40);
    expect(checked).toBeLessThan(200);
    expect(found).not.toHaveProperty('missing');
    for (const sample of [0, 1.5, '1'])
      await expect(one.verify({ sample } as never)).rejects.toMatchObject({
        code: 'invalid-argument',
      });
  });

  it('looks again where a key was written between one look and the other', async () => {
    const { one, another, plan } = on.world();
    await on.evicted(one, 'k', 'old');
    await one.forget('k');
    plan.hangNext('read');
    const verifying = one.verify();
    await expect.poll(() => plan.hanging).toBe(1);
    await on.frozen(another(), 'k', 'new');
    plan.release();
    expect(await verifying).toMatchObject({ equal: 1, differences: [] });
  });

  it('cries no wolf while workers, writers and deletes are at it', async () => {
    const { one, another } = on.world({ leaseMs: 50 });
    const two = another();
    const names = Array.from({ length: 30 }, (_, n) => `k${n}`);
    let busy = true;
    const work = (async () => {
      for (let n = 0; n < 90; n++) {
        const name = names[(n * 7) % names.length] as string;
        await two.ensure(name);
        // Marked in the same step as it is written.
        const multi = on.client.multi().set(name, `v${n}`);
        two.dirtyAtomically(multi as never, [name]);
        await multi.exec();
        if (n % 4 === 0) await two.drain();
        if (n % 7 === 0) await two.evict(...names);
        if (n % 9 === 0) await two.forget(name);
      }
      busy = false;
    })();
    while (busy) expect((await one.verify()).differences).toEqual([]);
    await work;
  });
});
