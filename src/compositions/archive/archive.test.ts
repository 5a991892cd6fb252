import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { file } from '../../drivers/file/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { gzip, seal } from '../../layers/sealed/index.ts';
import { type ArchiveOptions, archive, redisKeys } from './index.ts';

describeWithEngine('redis-server', 'archive', () => {
  const on = new ArchiveServer();
  const digestOf = async (key: string | Buffer): Promise<string> =>
    String(await on.client.sendCommand(['DEBUG', 'DIGEST-VALUE', key as string]));

  const expiresAt = Date.now() + 1_000_000;
  const written: Record<string, () => Promise<unknown>> = {
    string: () => on.client.set('string', 'value'),
    'a large string': () => on.client.set('a large string', 'x'.repeat(1_000_000)),
    number: () => on.client.set('number', '42'),
    hash: () => on.client.hSet('hash', { a: '1', b: '\0' }),
    list: () => on.client.rPush('list', ['a', 'b', 'a']),
    set: () => on.client.sAdd('set', ['a', 'b', '3']),
    'set of numbers': () => on.client.sAdd('set of numbers', ['1', '2', '3']),
    zset: () =>
      on.client.zAdd('zset', [
        { score: 1.5, value: 'a' },
        { score: -2, value: 'b' },
      ]),
    stream: () => on.client.xAdd('stream', '1-1', { a: '1' }),
    expiring: () => on.client.set('expiring', 'value', { PXAT: expiresAt }),
    '': () => on.client.set('', 'the empty key'),
    ['long'.repeat(1_000)]: () => on.client.set('long'.repeat(1_000), 'a long key'),
    'foo:♡': () => on.client.set('foo:♡', '1'),
    'foo:♥': () => on.client.set('foo:♥', '2'),
    'foo:?': () => on.client.set('foo:?', '3'),
    '{slot}*[a]\\': () => on.client.set('{slot}*[a]\\', '4'),
  };

  it.each(['ioredis', 'node-redis'] as const)(
    'keeps values of all types and keys of all kinds through freeze, evict and ensure (A22): %s',
    async (library) => {
      const { one } = on.world({
        hot: redisKeys(redisClients[library](on.url).client),
        seal: seal({ compress: gzip(), keys: { one: new Uint8Array(32) } }),
      });
      for (const write of Object.values(written)) await write();
      const binary = Buffer.from([0xff, 0, 0xfe]);
      await on.client.set(binary, 'a binary key');
      const keys = [...Object.keys(written), binary];
      const before = await Promise.all(keys.map(digestOf));
      await one.dirty(...keys);
      expect(await one.stats()).toMatchObject({ dirty: keys.length, evicted: 0 });
      expect(await one.drain()).toEqual({ frozen: keys.length, deleted: 0, failed: [] });
      expect(await one.evict(...keys)).toEqual({ evicted: keys.length, kept: [] });
      expect(await on.client.exists(keys)).toBe(0);
      expect(await one.stats()).toMatchObject({ dirty: 0, oldestMarkMs: 0, evicted: keys.length });
      await one.ensure(...keys);
      expect(await Promise.all(keys.map(digestOf))).toEqual(before);
      expect(await on.client.pExpireTime('expiring')).toBe(expiresAt);
      expect(await on.client.pExpireTime('string')).toBe(-1);
      expect(await one.stats()).toMatchObject({ dirty: 0, oldestMarkMs: 0, evicted: 0 });
      // Redis may order the members of a set anew, which is then frozen anew.
      await one.evict(...keys);
      await one.drain();
      await one.evict(...keys);
      expect(await one.stats()).toMatchObject({ dirty: 0, oldestMarkMs: 0, evicted: keys.length });
    },
  );

  it('says that an object is gone, damaged or of a foreign seal, and restores the others', async () => {
    const keys = { one: new Uint8Array(32) };
    const { one, another, cold } = on.world({ seal: seal({ keys }) });
    for (const key of ['gone', 'damaged', 'fine']) await on.evicted(one, key, 'v');
    await cold.delete('strata-archive/k/gone');
    await cold.update('strata-archive/k/damaged', (bytes) => bytes?.with(60, (bytes[60] ?? 0) ^ 1));
    const error = await one.ensure('gone', 'damaged', 'fine').catch((caught) => caught);
    expect(error.message).toMatch(
      /2 of the keys are not there: "(gone|damaged)", "(gone|damaged)"/,
    );
    const codes = error.details.failed.map((one: { key: string; error: { code: string } }) => [
      one.key,
      one.error.code,
    ]);
    expect(Object.fromEntries(codes)).toEqual({ gone: 'data-missing', damaged: 'corrupt' });
    expect(await on.client.get('fine')).toBe('v');
    await one.evict('fine');
    const foreign = another({ seal: seal({ keys: { two: new Uint8Array(32) } }) });
    await expect(foreign.ensure('fine')).rejects.toMatchObject({ code: 'corrupt', key: 'fine' });
    await one.ensure('fine');
    expect(await on.client.get('fine')).toBe('v');
  });

  it('freezes again what is damaged in the cold store while it is hot', async () => {
    const { one, cold } = on.world();
    await on.frozen(one, 'k', 'v');
    await cold.update('strata-archive/k/k', (bytes) => bytes?.with(60, (bytes[60] ?? 0) ^ 1));
    expect(await one.evict('k')).toMatchObject({ kept: [{ reason: 'dirty' }] });
    expect(await one.drain()).toMatchObject({ frozen: 1 });
    await one.evict('k');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('v');
  });

  it('goes on when Redis went back behind what the cold store has', async () => {
    const { one } = on.world();
    for (let n = 0; n < 5; n++) await on.frozen(one, 'k', `v${n}`);
    const id = (await on.client.get('strata-archive:id')) as string;
    await on.client.flushAll();
    await on.client.set('strata-archive:id', id);
    await on.frozen(one, 'k', 'restarted');
    expect(await one.evict('k')).toMatchObject({ evicted: 1 });
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('restarted');
    await on.client.set('clock', 'x');
    await on.client.del('strata-archive:clock');
    expect(await one.forget('k')).toBe(1);
    expect((await one.stats()).dirty).toBe(0);
  });

  it('brings back from files that were closed and opened again', async () => {
    const path = await mkdtemp(join(tmpdir(), 'archive-'));
    try {
      const before = file({ path });
      const { one, another } = on.world({ cold: before });
      await on.evicted(one, 'k', 'v');
      await before.close();
      await expect(one.ensure('k')).rejects.toMatchObject({ code: 'closed', key: 'k' });
      const cold = file({ path });
      await another({ cold }).ensure('k');
      expect(await on.client.get('k')).toBe('v');
      await cold.close();
    } finally {
      await rm(path, { recursive: true });
    }
  });

  it('marks all that exist, and names those that do not (A24)', async () => {
    const { one } = on.world();
    await on.client.mSet(
      Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, 'v'])),
    );
    const keys = Array.from({ length: 2_000 }, (_, n) => `k${n}`);
    await expect(one.dirty('missing', ...keys, 'gone')).rejects.toMatchObject({
      code: 'invalid-argument',
      details: { missing: ['missing', 'gone'] },
    });
    expect((await one.stats()).dirty).toBe(2_000);
    expect(await one.drain()).toMatchObject({ frozen: 2_000 });
  });

  it('tells that Redis is out of memory or read-only, and what was not done', async () => {
    const { one } = on.world();
    await on.frozen(one, 'k', 'v');
    await on.client.configSet('maxmemory', '1');
    try {
      await expect(one.dirty('k')).rejects.toMatchObject({ code: 'no-space' });
    } finally {
      await on.client.configSet('maxmemory', '0');
    }
    expect(await on.client.get('k')).toBe('v');
  });

  it('refuses a server that may remove keys by itself, unless that is allowed by name', async () => {
    await on.client.configSet({ maxmemory: '1gb', 'maxmemory-policy': 'allkeys-lru' });
    try {
      const { one, another } = on.world();
      await expect(one.stats()).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('allkeys-lru'),
      });
      const { client: pattern } = redisClients['node-redis'](on.url);
      const hot = redisKeys(pattern, { allowPolicy: 'allkeys-lru' });
      expect(await another({ hot }).stats()).toMatchObject({ dirty: 0 });
    } finally {
      await on.client.configSet({ maxmemory: '0', 'maxmemory-policy': 'noeviction' });
    }
  });

  it('refuses a server that keeps no idle times, also while it has no bound', async () => {
    await on.client.configSet('maxmemory-policy', 'allkeys-lfu');
    try {
      await expect(on.world().one.stats()).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('idle times'),
      });
    } finally {
      await on.client.configSet('maxmemory-policy', 'noeviction');
    }
  });

  it('evicts what was idle, within its prefix, and keeps archives of one Redis apart', async () => {
    const hotOf = (prefix: string, namespace: string): ArchiveOptions['hot'] =>
      redisKeys(redisClients['node-redis'](on.url).client, { prefix, namespace });
    const { one, another } = on.world({ hot: hotOf('a*', 'first') });
    const two = another({ hot: hotOf('', 'second'), evictAfterMs: 3_600_000 });
    await on.client.mSet({ 'a*1': 'v', ab: 'v' });
    await one.dirty('a*1');
    await two.dirty('a*1', 'ab');
    await one.drain();
    expect(await two.evictIdle()).toEqual({ evicted: 0, kept: [] });
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect(await one.evictIdle()).toEqual({ evicted: 1, kept: [] });
    expect(await on.client.exists(['a*1', 'ab'])).toBe(1);
    await one.ensure('a*1');
    expect(await two.drain()).toMatchObject({ frozen: 2 });
    await expect(one.ensure('ab')).rejects.toMatchObject({ code: 'invalid-argument', key: 'ab' });
    await expect(two.dirty('second:marks')).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('refuses a cold store without conditions, and options that make no sense', () => {
    const hot = redisKeys(redisClients['node-redis'](on.url).client);
    expect(() => archive({ hot } as never)).toThrow(/cold is missing/);
    expect(() => archive({ hot: {}, cold: memory() } as never)).toThrow(/the option hot is/);
    expect(() => redisKeys({} as never)).toThrow(/the client is/);
    expect(() => redisKeys(on.client as never, { namespace: 'a:b' })).toThrow(/namespace is "a:b"/);
  });
});
