/** What is wrong with the cold store is said by its code, and costs no value. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { type Seal, seal } from '../../layers/sealed/index.ts';
import { redisKeys } from './index.ts';

describeWithEngine('redis-server', 'archive, over a cold store that fails', () => {
  const on = new ArchiveServer();
  const OBJECT = 'strata-archive/k/k';

  it('says corrupt for every flipped byte, and keeps what is hot', async () => {
    const { one, cold } = on.world({ seal: seal({ keys: { one: new Uint8Array(32) } }) });
    await on.frozen(one, 'k', 'v');
    const whole = (await cold.get(OBJECT)) as Uint8Array;
    for (let at = 0; at < whole.length; at += 7) {
      await cold.set(OBJECT, whole.with(at, (whole[at] as number) ^ 0x10));
      expect(await one.evict('k'), `byte ${at}`).toMatchObject({ evicted: 0 });
      expect(await on.client.get('k')).toBe('v');
      expect(await one.drain()).toMatchObject({ frozen: 1 });
    }
    await one.evict('k');
    const last = (await cold.get(OBJECT)) as Uint8Array;
    for (let at = 0; at < last.length; at += 7) {
      await cold.set(OBJECT, last.with(at, (last[at] as number) ^ 0x10));
      await expect(one.ensure('k'), `byte ${at}`).rejects.toMatchObject({
        code: 'corrupt',
        key: 'k',
      });
    }
    await cold.set(OBJECT, last);
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('v');
  });

  it('says corrupt for an unknown key id and for another key under that id', async () => {
    const { one, another } = on.world({ seal: seal({ keys: { one: new Uint8Array(32) } }) });
    await on.evicted(one, 'evicted', 'v');
    await on.frozen(one, 'hot', 'v');
    const keys = [{ two: new Uint8Array(32) }, { one: new Uint8Array(32).fill(1) }];
    for (const other of keys) {
      const foreign = another({ seal: seal({ keys: other }) });
      const refused = { code: 'corrupt', key: 'evicted' };
      await expect(foreign.ensure('evicted')).rejects.toMatchObject(refused);
      const { differences } = await foreign.verify();
      expect(differences).toMatchObject([
        { key: 'evicted', code: 'corrupt' },
        { key: 'hot', code: 'corrupt' },
      ]);
    }
    expect(await on.client.get('hot')).toBe('v');
    await one.ensure('evicted');
    expect(await on.client.get('evicted')).toBe('v');
  });

  it.each(['unavailable', 'denied', 'timeout', 'no-space'] as const)(
    'passes on %s, and brings back when that is over',
    async (code) => {
      const { one, plan } = on.world();
      await on.evicted(one, 'evicted', 'v');
      plan.failNext('read', code);
      await expect(one.ensure('evicted')).rejects.toMatchObject({ code, key: 'evicted' });
      plan.failNext('commit', code);
      await on.client.set('hot', 'v');
      await one.dirty('hot');
      expect((await one.drain()).failed).toMatchObject([{ key: 'hot', error: { code } }]);
      await one.ensure('evicted');
      expect(await on.client.mGet(['hot', 'evicted'])).toEqual(['v', 'v']);
    },
  );

  it('says data-missing for an object that is gone, each time, until it is there again', async () => {
    const { one, cold } = on.world();
    await on.evicted(one, 'k', 'v');
    const object = (await cold.get(OBJECT)) as Uint8Array;
    await cold.delete(OBJECT);
    for (let n = 0; n < 2; n++)
      await expect(one.ensure('k')).rejects.toMatchObject({ code: 'data-missing', key: 'k' });
    expect(await one.verify()).toMatchObject({ differences: [], missing: 1 });
    await cold.set(OBJECT, object);
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('v');
  });

  it('finds damage inside, also where the seal does not', async () => {
    const plain: Seal = {
      freeze: async (bytes) => bytes.slice(),
      thaw: async (bytes) => bytes.slice(),
    };
    const forms = ['dump', 'logical'] as const;
    for (const form of forms) {
      const hot = redisKeys(redisClients['node-redis'](on.url).client, { form });
      const { one, cold } = on.world({ hot, seal: plain });
      await on.evicted(one, 'k', 'a value that is not too short');
      await cold.update(OBJECT, (bytes) => bytes?.with(bytes.length - 14, 0x7e));
      await expect(one.ensure('k')).rejects.toMatchObject({ code: 'corrupt', key: 'k' });
      expect(await one.verify()).toMatchObject({ differences: [{ key: 'k', code: 'corrupt' }] });
      await on.client.flushAll();
    }
  });

  it('opens objects of the first format', async () => {
    const hot = redisKeys(redisClients['node-redis'](on.url).client, { form: 'dump' });
    const { one, cold } = on.world({ hot });
    await on.evicted(one, 'k', 'v');
    const place = { key: OBJECT, storeId: 'strata-archive' };
    const now = Buffer.from(await seal().thaw((await cold.get(OBJECT)) as Uint8Array, place));
    const headBytes = now.readUInt32BE(0);
    const { payloadBytes, ...head } = JSON.parse(now.subarray(4, 4 + headBytes).toString());
    expect(payloadBytes).toBeGreaterThan(0);
    const first = Buffer.from(JSON.stringify({ ...head, format: 1 }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(first.length);
    const whole = Buffer.concat([length, first, now.subarray(4 + headBytes)]);
    await cold.set(OBJECT, await seal().freeze(whole, place));
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('v');
  });
});
