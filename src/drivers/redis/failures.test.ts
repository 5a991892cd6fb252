import { Cluster } from 'ioredis';
import { createClient, createClientPool, createCluster, type RedisClientType } from 'redis';
import { describe, expect, it } from 'vitest';
import {
  describeWithEngine,
  freePort,
  type RedisServer,
  startRedis,
} from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { json } from '../../store/codec.ts';
import type { Store } from '../../store/store.ts';
import { redis } from './index.ts';

type Library = keyof typeof redisClients;
const LIBRARIES: readonly Library[] = ['ioredis', 'node-redis'];

/** A store on a server, by one of the libraries; the client is a pattern only and never connects. */
function storeOn(url: string, library: Library = 'node-redis', prefix = 'f'): Store<unknown> {
  return redis({ client: redisClients[library](url).client, prefix, codec: json() });
}

/** A plain client, for looking and meddling. */
async function adminOf(url: string): Promise<RedisClientType> {
  const admin: RedisClientType = createClient({ url });
  // A server that these tests end takes this connection with it.
  admin.on('error', () => undefined);
  await admin.connect();
  return admin;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );
}

describe('the options', () => {
  const { client } = redisClients['node-redis']('redis://127.0.0.1:1');
  it.each([
    [{}, /exactly one of the options client and url/],
    [{ client, url: 'redis://127.0.0.1' }, /exactly one/],
    [{ client: {} }, /ioredis or node-redis/],
    [{ client: new Cluster([], { lazyConnect: true }) }, /for one server/],
    [{ client: createCluster({ rootNodes: [] }) }, /for one server/],
    [{ client: createClientPool({}) }, /for one server/],
    [{ url: 'http://127.0.0.1' }, /an address such as redis:/],
    [{ client, prefix: '' }, /prefix/],
    [{ client, prefix: 'a{b' }, /without braces/],
    [{ client, durability: 'always' }, /one of 'memory'/],
    [{ client, tombstoneMs: -1 }, /tombstoneMs/],
    [{ client, prefx: 'a' }, /unknown option "prefx"/],
  ])('are checked: %s', (options, message) => {
    expect(() => redis(options as never)).toThrow(message);
    expect(() => redis(options as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });

  it('say that values without a codec are bytes', async () => {
    const store = redis({ client });
    await expect(store.set('a', 'text' as never)).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'a',
    });
    await store.close();
  });
});

describeWithEngine('redis-server', 'a server that is away', () => {
  it.each(LIBRARIES)('is told at once, and again reached when it is back: %s', async (library) => {
    const port = await freePort();
    const store = storeOn(`redis://127.0.0.1:${port}`, library);
    const began = performance.now();
    expect(await codeOf(store.get('a'))).toBe('unavailable');
    expect(await codeOf(store.set('a', 1))).toBe('unavailable');
    expect(await codeOf(store.keys()[Symbol.asyncIterator]().next())).toBe('unavailable');
    expect(await codeOf(store.watch()[Symbol.asyncIterator]().next())).toBe('unavailable');
    expect(performance.now() - began).toBeLessThan(1_500);
    await using _server = await startRedis({ port });
    await store.set('a', 1);
    expect(await store.get('a')).toBe(1);
    await store.close();
  });

  it.each(LIBRARIES)('leaves no write in doubt that it had not been sent: %s', async (library) => {
    await using server = await startRedis();
    const store = storeOn(server.url, library);
    await store.set('seen', 0);
    process.kill(server.pid, 'SIGSTOP');
    const bounds = { timeoutMs: 300 };
    const read = codeOf(store.get('seen', bounds));
    const sent = [codeOf(store.set('sent 1', 1, bounds))];
    await Promise.resolve();
    sent.push(codeOf(store.set('sent 2', 1, bounds)));
    await Promise.resolve();
    // Two groups are under way: these wait for their turn, and it does not come in time.
    const kept = [codeOf(store.set('kept 1', 1, bounds)), codeOf(store.delete('seen', bounds))];
    expect(await Promise.all(sent)).toEqual(['unknown-outcome', 'unknown-outcome']);
    expect(await Promise.all(kept)).toEqual(['timeout', 'timeout']);
    expect(await read).toBe('timeout');
    process.kill(server.pid, 'SIGCONT');
    await store.set('after', 1);
    const keys: string[] = [];
    for await (const key of store.keys()) keys.push(key);
    expect(keys).toEqual(['after', 'seen', 'sent 1', 'sent 2']);
    await store.close();
  });

  it.each(LIBRARIES)(
    'acknowledges nothing that it loses when it is killed: %s',
    async (library) => {
      const first = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
      const store = storeOn(first.url, library);
      await store.set('begun', true);
      const acknowledged: string[] = [];
      const codes = new Set<string>();
      let next = 0;
      const writer = async (): Promise<void> => {
        for (;;) {
          const key = `key ${next++}`;
          const code = await codeOf(store.set(key, next));
          codes.add(code);
          if (code !== 'done') return;
          acknowledged.push(key);
          if (acknowledged.length === 500) process.kill(first.pid, 'SIGKILL');
        }
      };
      await Promise.all(Array.from({ length: 50 }, writer));
      // The writes under way are in doubt; those that came after found nobody.
      expect(codes.has('unknown-outcome')).toBe(true);
      expect([...codes].every((code) => /done|unknown-outcome|unavailable/.test(code))).toBe(true);
      await store.close();
      await first.stop();
    },
  );
});

describeWithEngine('redis-server', 'a server that refuses', () => {
  it('for lack of memory says no-space, and nothing of the batch is applied', async () => {
    await using server = await startRedis({ args: ['--maxmemory', '3mb'] });
    const store = storeOn(server.url);
    const big = 'x'.repeat(100_000);
    let codes = 'done';
    let count = 0;
    while (codes === 'done' && count < 100) codes = await codeOf(store.set(`k${count++}`, big));
    expect(codes).toBe('no-space');
    const head = await store.cursor();
    expect(
      await codeOf(
        store.batch([
          { type: 'set', key: 'a', value: 1 },
          { type: 'set', key: 'b', value: big },
        ]),
      ),
    ).toBe('no-space');
    expect(await store.get('a')).toBeUndefined();
    expect(await store.cursor()).toBe(head);
    const admin = await adminOf(server.url);
    await admin.configSet('maxmemory', '0');
    await store.set('a', 1);
    admin.destroy();
    await store.close();
  });

  it('because it would remove parts of the store is not used', async () => {
    const args = ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'];
    await using server = await startRedis({ args });
    const store = storeOn(server.url);
    await expect(store.set('a', 1)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('allkeys-lru'),
    });
    await store.close();
  });

  it.each([
    ['no', 'everysec', false],
    ['yes', 'everysec', false],
    ['yes', 'always', true],
  ])(
    'keeps what disk promises with appendonly %s, appendfsync %s: %s',
    async (aof, fsync, kept) => {
      await using server = await startRedis({
        args: ['--appendonly', aof, '--appendfsync', fsync],
      });
      const { client } = redisClients['node-redis'](server.url);
      const store = redis({ client, durability: 'disk' });
      expect(store.capabilities.durability).toBe('disk');
      const code = await codeOf(store.set('a', new Uint8Array(1)));
      expect(code).toBe(kept ? 'done' : 'invalid-argument');
      await store.close();
    },
  );

  it('to tell its settings is believed', async () => {
    await using server = await startRedis();
    const admin = await adminOf(server.url);
    const rights = ['on', '>pw', 'allkeys', 'allchannels', '+@all', '-config'];
    await admin.sendCommand(['ACL', 'SETUSER', 'guest', ...rights]);
    const { client } = redisClients.ioredis(server.url.replace('redis://', 'redis://guest:pw@'));
    const store = redis({ client, durability: 'disk' });
    await store.set('a', new Uint8Array(1));
    expect(await store.has('a')).toBe(true);
    await admin.sendCommand(['ACL', 'SETUSER', 'guest', '-@write']);
    expect(await codeOf(store.set('a', new Uint8Array(1)))).toBe('denied');
    // A right that is missing is found at the opening, not in the middle of a commit.
    for (const command of ['+@all', '-rename']) await admin.aclSetUser('guest', command);
    const url = server.url.replace('redis://', 'redis://guest:pw@');
    const other = storeOn(url, 'node-redis', 'other');
    expect(await codeOf(other.set('a', 1))).toBe('denied');
    expect(await admin.exists('{other}:data')).toBe(0);
    expect(await other.get('a')).toBeUndefined();
    admin.destroy();
    await other.close();
    await store.close();
  });

  it('to answer lets a store close, and tells the writes under way that they are in doubt', async () => {
    await using server = await startRedis();
    const store = storeOn(server.url);
    await store.set('a', 1);
    process.kill(server.pid, 'SIGSTOP');
    const write = codeOf(store.set('b', 1, { timeoutMs: 60_000 }));
    const read = codeOf(store.get('a', { timeoutMs: 60_000 }));
    const began = performance.now();
    await store.close();
    expect(await write).toBe('unknown-outcome');
    expect(await read).toBe('closed');
    expect(performance.now() - began).toBeLessThan(4_500);
    process.kill(server.pid, 'SIGCONT');
  });

  it.each(LIBRARIES)('a missing or wrong password says denied: %s', async (library) => {
    await using server = await startRedis({ args: ['--requirepass', 'right'] });
    const at = (user: string): string => server.url.replace('redis://', `redis://${user}`);
    const refused = [storeOn(server.url, library), storeOn(at(':wrong@'), library)];
    for (const store of refused) {
      expect(await codeOf(store.get('a'))).toBe('denied');
      expect(await codeOf(store.set('a', 1))).toBe('denied');
      await store.close();
    }
    const store = storeOn(at(':right@'), library);
    await store.set('a', 1);
    await store.close();
  });

  it.each(LIBRARIES)('writes as a replica says denied, and still reads: %s', async (library) => {
    await using server = await startRedis();
    const store = storeOn(server.url, library);
    await store.set('a', 1);
    const admin = await adminOf(server.url);
    // A master that cannot be reached: the replica keeps what it has.
    await admin.sendCommand(['CONFIG', 'SET', 'replica-serve-stale-data', 'yes']);
    await admin.sendCommand(['REPLICAOF', '127.0.0.1', String(await freePort())]);
    expect(await codeOf(store.set('b', 1))).toBe('denied');
    expect(await store.get('a')).toBe(1);
    await admin.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    await store.set('b', 1);
    admin.destroy();
    await store.close();
  });
});

describeWithEngine('redis-server', 'what lies under the prefix', () => {
  async function withServer(
    run: (server: RedisServer, admin: RedisClientType) => Promise<void>,
  ): Promise<void> {
    await using server = await startRedis();
    const admin = await adminOf(server.url);
    await run(server, admin);
    admin.destroy();
  }

  it('is refused when it is not of a store', () =>
    withServer(async (server, admin) => {
      await admin.set('{f}:order', 'mine');
      await admin.set('{g}:meta', 'mine');
      await admin.hSet('{h}:meta', 'format', '9');
      for (const prefix of ['f', 'g', 'h']) {
        const store = storeOn(server.url, 'node-redis', prefix);
        expect(await codeOf(store.set('a', 1))).toBe('invalid-argument');
        expect(await codeOf(store.get('a'))).toBe('invalid-argument');
        await store.close();
      }
      expect(await admin.get('{f}:order')).toBe('mine');
    }));

  it('is corrupt when a part was removed or replaced', () =>
    withServer(async (server, admin) => {
      for (const part of ['data', 'order', 'index']) {
        const store = storeOn(server.url, 'node-redis', part);
        await store.set('a', 1);
        await admin.unlink(`{${part}}:${part}`);
        expect(await codeOf(store.set('b', 1))).toBe('corrupt');
        await admin.set(`{${part}}:${part}`, 'alien');
        expect(await codeOf(store.set('b', 1))).toBe('corrupt');
        await store.close();
      }
    }));

  it('is corrupt when an entry was changed', () =>
    withServer(async (server, admin) => {
      const store = storeOn(server.url);
      await store.set('a', 'value');
      await store.set('b', 'value');
      await admin.hSet('{f}:data', 'vka', 'neither');
      await expect(store.get('a')).rejects.toMatchObject({ code: 'corrupt', key: 'a' });
      expect(await codeOf(store.getEntry('a'))).toBe('corrupt');
      expect(await codeOf(store.list()[Symbol.asyncIterator]().next())).toBe('corrupt');
      expect(await store.get('b')).toBe('value');
      await admin.hDel('{f}:data', 'ka');
      expect(await codeOf(store.getEntry('a'))).toBe('corrupt');
      await store.close();
    }));

  it('survives the loss of what only saves work: the log and the scripts', () =>
    withServer(async (server, admin) => {
      const store = storeOn(server.url);
      await store.set('a', 1);
      const cursor = await store.cursor();
      await admin.unlink('{f}:log');
      await admin.scriptFlush();
      await store.set('b', 2);
      await store.set('c', 3);
      const commits = store.watch({ after: cursor })[Symbol.asyncIterator]();
      const keys: string[] = [];
      for (let rev = 1; rev < 3; ) {
        const { value } = await commits.next();
        for (const { key } of value.writes) keys.push(key);
        rev = value.to;
      }
      expect(keys).toEqual(['b', 'c']);
      await store.close();
    }));
});
