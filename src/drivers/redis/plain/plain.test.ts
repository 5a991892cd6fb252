import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../../test/required-capabilities.ts';
import { describeWithEngine, redisUrl, startRedis } from '../../../../test/support/engines.ts';
import { redisClients } from '../../../../test/support/redis-clients.ts';
import { tiered } from '../../../compositions/tiered/index.ts';
import { describeStore, json, type Store, text } from '../../../store/index.ts';
import { conformance, modelTest, type StoreFactory } from '../../../testing/index.ts';
import { memory } from '../../memory/index.ts';
import { type RedisPlainOptions, redis } from '../index.ts';

type Library = keyof typeof redisClients;
type Options = Omit<RedisPlainOptions, 'client' | 'url' | 'mode'>;

const test = { describe, it };

async function collect(keys: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const key of keys) found.push(key);
  return found;
}

describeWithEngine('redis', 'redis, plain', () => {
  /** The other program. */
  const other = createClient({ url: redisUrl() });
  beforeAll(async () => {
    await other.connect();
  });
  afterAll(() => other.destroy());

  const prefixOf = (store: Store<never> | Store<unknown>): string =>
    String(describeStore(store).details?.prefix);
  function factory(library: Library): StoreFactory<unknown> {
    const { client } = redisClients[library](redisUrl());
    const open = (prefix: string): Store<unknown> =>
      redis({ client, mode: 'plain', prefix }) as Store<unknown>;
    return {
      create: () => open(`plain-${crypto.randomUUID()}:`),
      reopen: async (store) => {
        await store.close();
        return open(prefixOf(store));
      },
      second: async (store) => open(prefixOf(store)),
      destroy: async (store) => {
        for await (const names of other.scanIterator({ MATCH: `${prefixOf(store)}*`, COUNT: 1e4 }))
          if (names.length > 0) await other.unlink(names);
      },
      required: requiredCapabilities['redis plain'],
    };
  }

  for (const library of ['ioredis', 'node-redis'] as const)
    conformance({ name: `plain, ${library}`, test, factory: factory(library) });
  modelTest({ name: 'plain', test, fc, factory: factory('ioredis'), runs: 40 });

  function open(options: Options = {}): Store<string> {
    const prefix = `plain-${crypto.randomUUID()}:`;
    return redis({ url: redisUrl(), mode: 'plain', prefix, codec: text(), ...options });
  }

  describe('beside another program', () => {
    it('reads what that writes, and writes what that reads', async () => {
      await using store = open();
      const prefix = prefixOf(store);
      await other.set(`${prefix}a`, 'theirs');
      expect(await store.get('a')).toBe('theirs');
      await store.set('a', 'ours');
      expect(await other.get(`${prefix}a`)).toBe('ours');
      expect(await other.type(`${prefix}a`)).toBe('string');
      await other.append(`${prefix}a`, '!');
      expect(await store.getEntry('a')).toMatchObject({ value: 'ours!', modifiedAt: 0 });
      await other.del(`${prefix}a`);
      expect(await store.has('a')).toBe(false);
      expect(await store.delete('a')).toBe(false);
    });

    it('gives no version twice to different contents, and the same one to every reader', async () => {
      await using store = open();
      const prefix = prefixOf(store);
      const first = await store.set('a', 'x');
      await other.set(`${prefix}a`, 'y');
      const second = await store.getEntry('a');
      await other.set(`${prefix}a`, 'y', { expiration: { type: 'EX', value: 100 } });
      const third = await store.getEntry('a');
      expect(new Set([first.version, second?.version, third?.version]).size).toBe(3);
      expect((await store.getEntries(['a'])).get('a')).toEqual(third);
      await using again = open({ prefix });
      expect(await again.getEntry('a')).toEqual(third);
    });

    it('shares expiry with it, to the millisecond', async () => {
      await using store = open();
      const prefix = prefixOf(store);
      const { expiresAt } = await store.set('a', 'x', { ttlMs: 50_000 });
      expect(await other.pExpireTime(`${prefix}a`)).toBe(expiresAt);
      await other.pExpireAt(`${prefix}a`, 4_000_000_000_123);
      expect((await store.getEntry('a'))?.expiresAt).toBe(4_000_000_000_123);
      await other.persist(`${prefix}a`);
      expect(await store.getEntry('a')).not.toHaveProperty('expiresAt');
      await store.set('a', 'y', { ttlMs: 50_000 });
      await store.set('a', 'z');
      expect(await other.pTTL(`${prefix}a`)).toBe(-1);
      await store.set('a', 'gone', { expiresAt: 5 });
      expect(await other.exists(`${prefix}a`)).toBe(0);
    });

    it('lets one of both win that want a key absent', async () => {
      await using store = open();
      const prefix = prefixOf(store);
      for (let n = 0; n < 30; n++) {
        const [ours, theirs] = await Promise.all([
          store.set(`k${n}`, 'ours', { if: 'absent' }).then(
            () => true,
            (error: { code: string }) => error.code !== 'conflict',
          ),
          other.set(`${prefix}k${n}`, 'theirs', { condition: 'NX' }),
        ]);
        expect(ours).toBe(theirs === null);
        expect(await store.get(`k${n}`)).toBe(ours ? 'ours' : 'theirs');
      }
    });

    it('leaves alone what is no string, and says so', async () => {
      await using store = open();
      const prefix = prefixOf(store);
      await other.hSet(`${prefix}h`, 'field', '1');
      const error = { code: 'corrupt', key: 'h' };
      await expect(store.get('h')).rejects.toMatchObject(error);
      await expect(store.getEntry('h')).rejects.toMatchObject(error);
      await expect(store.getMany(['a', 'h'])).rejects.toMatchObject(error);
      await expect(store.set('h', 'x')).rejects.toMatchObject(error);
      await expect(store.delete('h')).rejects.toMatchObject(error);
      await expect(store.set('h', 'x', { if: 'absent' })).rejects.toMatchObject(error);
      const batch = store.batch([
        { type: 'set', key: 'a', value: 'x' },
        { type: 'delete', key: 'h' },
      ]);
      await expect(batch).rejects.toMatchObject(error);
      expect(await collect(store.keys())).toEqual([]);
      expect(await store.clear()).toBe(0);
      expect(await other.hGet(`${prefix}h`, 'field')).toBe('1');
    });

    it('lists its keys, and leaves out names that no key has', async () => {
      await using store = open({ prefix: `plain-[${crypto.randomUUID()}]*?\\^:` });
      const prefix = prefixOf(store);
      await other.mSet([
        [`${prefix}b`, '1'],
        [`${prefix}ä`, '2'],
        [`x${prefix}no`, '3'],
        [prefix, '4'],
        [`${prefix}${'k'.repeat(700)}`, '5'],
      ]);
      const bytes = Buffer.concat([Buffer.from(prefix), Buffer.from([0xff, 0xfe])]);
      await other.sendCommand(['SET', bytes, '6']);
      await store.set('a', '0');
      expect(await collect(store.keys())).toEqual(['a', 'b', 'ä']);
      expect(await collect(store.keys({ reverse: true, limit: 2 }))).toEqual(['ä', 'b']);
      expect(await store.clear()).toBe(3);
      expect(await other.get(prefix)).toBe('4');
      await other.unlink([prefix, `x${prefix}no`, `${prefix}${'k'.repeat(700)}`]);
      await other.sendCommand(['DEL', bytes]);
    });

    it('keeps on when its scripts are thrown out', async () => {
      await using store = open();
      await store.set('a', '1');
      for (let round = 0; round < 5; round++) {
        const flushed = other.scriptFlush();
        await Promise.all(Array.from({ length: 50 }, (_, n) => store.set('a', String(n))));
        await flushed;
        expect(await store.get('a')).toBe('49');
      }
    });
  });

  it('is the back of a tiered store, whose front shows its versions', async () => {
    const back = open();
    await using store = tiered({ front: memory<string>(), back, ttlMs: 60_000 });
    await other.set(`${prefixOf(back)}a`, 'theirs');
    expect(await store.get('a')).toBe('theirs');
    expect(await store.getEntry('a')).toEqual(await back.getEntry('a'));
    const head = await store.set('a', 'ours', { ttlMs: 50_000 });
    expect(await store.getEntry('a')).toEqual({ ...head, value: 'ours' });
    expect(store.capabilities).toMatchObject({ bare: true, conditional: 'absent' });
    await expect(store.set('a', 'x', { meta: { n: 1 } })).rejects.toMatchObject({
      code: 'unsupported',
    });
    expect(await store.get('a')).toBe('ours');
    expect(await store.delete('a')).toBe(true);
    expect(await store.has('a')).toBe(false);
  });

  it('uses names without a prefix when none is given', async () => {
    await using server = await startRedis();
    await using store = redis({ url: server.url, mode: 'plain', codec: json<number>() });
    await store.set('user:1', 7);
    const client = createClient({ url: server.url });
    await client.connect();
    expect(await client.get('user:1')).toBe('7');
    client.destroy();
  });

  it('goes on listing beyond what it holds in memory', async () => {
    await using store = open();
    const prefix = prefixOf(store);
    const names = Array.from({ length: 120_000 }, (_, n) => n.toString(36));
    for (let at = 0; at < names.length; at += 10_000)
      await other.mSet(
        Object.fromEntries(names.slice(at, at + 10_000).map((name) => [prefix + name, ''])),
      );
    const keys = await collect(store.keys({ timeoutMs: 60_000 }));
    expect(keys).toEqual(names.toSorted());
    const back = await collect(store.keys({ reverse: true, limit: 60_000, timeoutMs: 60_000 }));
    expect(back).toEqual(names.toSorted().reverse().slice(0, 60_000));
    for (let at = 0; at < names.length; at += 10_000)
      await other.unlink(names.slice(at, at + 10_000).map((name) => `${prefix}${name}`));
  }, 120_000);

  it('refuses options that make no sense', () => {
    const url = redisUrl();
    for (const options of [
      { mode: 'other' as 'plain' },
      { mode: 'plain', logBytes: 1 },
      { mode: 'plain', tombstoneMs: 1 },
      { mode: 'plain', prefix: 'x'.repeat(129) },
      { mode: 'plain', allowEviction: 1 as unknown as boolean },
    ] as const)
      expect(() => redis({ url, ...options } as RedisPlainOptions)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
    expect(() => redis({ url, allowEviction: true } as never)).toThrow(/allowEviction/);
  });
});

describeWithEngine('redis-server', 'redis, plain, what goes wrong', () => {
  it('refuses a server that evicts, unless that is allowed', async () => {
    await using server = await startRedis({
      args: ['--maxmemory', '100mb', '--maxmemory-policy', 'volatile-lru'],
    });
    await using strict = redis({ url: server.url, mode: 'plain' });
    await expect(strict.get('a')).rejects.toMatchObject({ code: 'invalid-argument' });
    await using lax = redis({ url: server.url, mode: 'plain', allowEviction: true });
    expect(lax.capabilities.evicts).toBe(true);
    await lax.set('a', new Uint8Array([1]));
  });

  it('writes nothing of a batch when memory is short', async () => {
    await using server = await startRedis();
    await using store = redis({ url: server.url, mode: 'plain', codec: text() });
    await store.set('old', 'x');
    const admin = createClient({ url: server.url });
    await admin.connect();
    await admin.configSet('maxmemory', '1');
    await expect(store.set('new', 'y')).rejects.toMatchObject({ code: 'no-space' });
    const before = await collect(store.keys());
    const batch = store.batch([
      { type: 'set', key: 'new', value: 'y' },
      { type: 'delete', key: 'old' },
    ]);
    await expect(batch).rejects.toMatchObject({ code: 'no-space' });
    expect(await collect(store.keys())).toEqual(before);
    expect(await store.delete('old')).toBe(true);
    admin.destroy();
  });

  it('writes nothing of a batch when the user lacks a right', async () => {
    await using server = await startRedis();
    const admin = createClient({ url: server.url });
    await admin.connect();
    await admin.aclSetUser('half', ['on', '>pw', '~app:*', '+@all', '-del', '&*']);
    const url = server.url.replace('//', '//half:pw@');
    await using store = redis({ url, mode: 'plain', prefix: 'app:', codec: text() });
    await store.set('a', '1');
    const batch = store.batch([
      { type: 'set', key: 'b', value: '2' },
      { type: 'delete', key: 'a' },
    ]);
    await expect(batch).rejects.toMatchObject({ code: 'denied' });
    expect(await store.has('b')).toBe(false);
    await using outside = redis({ url, mode: 'plain', prefix: 'other:', codec: text() });
    await expect(outside.get('a')).rejects.toMatchObject({ code: 'denied' });
    await expect(outside.set('a', '1')).rejects.toMatchObject({ code: 'denied' });
    admin.destroy();
  });

  it('keeps what was acknowledged when a server that flushes is killed, and refuses one that does not', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'stratakv-plain-'));
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const server = await startRedis({ args, dir });
    await using store = redis({
      url: server.url,
      mode: 'plain',
      durability: 'disk',
      codec: json<number>(),
    });
    let acknowledged = 0;
    const writing = (async () => {
      for (let n = 1; ; n++) {
        await store.set('a', n);
        acknowledged = n;
      }
    })().catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.kill();
    expect(await writing).toMatchObject({
      code: expect.stringMatching(/unknown-outcome|unavailable/),
    });
    const again = await startRedis({ args, dir, port: server.port });
    const found = (await store.get('a')) ?? 0;
    expect(acknowledged).toBeGreaterThan(0);
    expect([acknowledged, acknowledged + 1]).toContain(found);
    await again.stop();
    await rm(dir, { recursive: true });
    await using lax = await startRedis();
    await using refused = redis({ url: lax.url, mode: 'plain', durability: 'disk' });
    await expect(refused.get('a')).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('says unknown-outcome when the server dies under a write, and goes on with the next', async () => {
    const server = await startRedis();
    await using store = redis({ url: server.url, mode: 'plain', codec: text() });
    await store.set('a', '0');
    const admin = createClient({ url: server.url });
    admin.on('error', () => {});
    await admin.connect();
    // The write waits at the server.
    await admin.sendCommand(['CLIENT', 'PAUSE', '60000', 'WRITE']);
    const writing = store.set('a', '1');
    const outcome = expect(writing).rejects.toMatchObject({ code: 'unknown-outcome' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await server.kill();
    await outcome;
    admin.destroy();
    await expect(store.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    await using again = await startRedis({ port: server.port });
    expect(again.port).toBe(server.port);
    expect(await store.get('a')).toBeUndefined();
    await store.set('a', '2');
    expect(await store.get('a')).toBe('2');
  });
});
