/** What is refused, what is allowed by name, and what fails. */
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { ArchivedClients } from '../../../../test/support/archived-clients.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { archive, redisKeys } from '../index.ts';
import { archivedRedis } from './index.ts';

const UNSAFE: readonly string[] = [
  ...['KEYS *', 'SCAN 0', 'RANDOMKEY', 'DBSIZE', 'FLUSHDB', 'FLUSHALL', 'SWAPDB 0 1', 'SELECT 1'],
  ...['DEBUG SLEEP 0', 'WAIT 0 0', 'CLIENT TRACKING ON', 'EVAL return(1) 0', 'RESET'],
  ...['SORT l BY w_*', 'SORT l GET o_*', 'SORT_RO l GET # GET o_*->f'],
];

describeWithEngine('redis-server', 'archivedRedis, what it refuses', () => {
  const on = new ArchiveServer();
  const clients = new ArchivedClients(on);
  const run = (client: Redis, call: string): Promise<unknown> =>
    client.call(...(call.split(' ') as [string]));

  it('refuses what it cannot make safe, and names the option that allows it', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.set('n', '1');
    for (const call of UNSAFE) {
      const error = (await run(kv, call).catch((caught) => caught)) as Error;
      const [name, sub] = call.split(' ') as [string, string];
      expect(error, call).toMatchObject({ code: 'unsupported' });
      expect(error.message).toContain(
        name === 'CLIENT' ? `allow: ['${name}|${sub}']` : `allow: ['${name}']`,
      );
    }
    for (const call of ['MULTI', 'EXEC', 'DISCARD'])
      await expect(run(kv, call)).rejects.toMatchObject({ code: 'unsupported' });
    const pipeline = await kv.pipeline().get('n').keys('*').exec();
    expect(pipeline?.[0]).toEqual([null, '1']);
    expect(pipeline?.[1]?.[0]).toMatchObject({ code: 'unsupported' });
    await expect(kv.multi().incr('n').flushdb().exec()).rejects.toMatchObject({
      code: 'unsupported',
    });
    expect(await kv.get('n')).toBe('1');
    const node = await clients.nodeRedis(one);
    await expect(node.dbSize()).rejects.toMatchObject({ code: 'unsupported' });
    await expect(node.select(1)).rejects.toMatchObject({ code: 'unsupported' });
    expect(() => node.legacy()).toThrow('legacy of a client');
    for (const client of [kv, node])
      expect(() => archivedRedis(client, { archive: one })).toThrow('that has no archive yet');
  });

  it('refuses to allow what the server does not have', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one, { allow: ['SCAN', 'SCN', 'client tracking'] });
    for (const call of ['SET n 1', 'PING', 'SCAN 0', 'NOSUCH'])
      await expect(run(kv, call), call).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringMatching(
          /names 'SCN', 'CLIENT TRACKING', which .*'CLIENT\|TRACKING'/,
        ),
      });
    expect(await on.client.dbSize()).toBe(0);
    const node = await clients.nodeRedis(one, { allow: ['SCN'] });
    await expect(node.set('n', '1')).rejects.toThrow("'SCN'");
    const right = clients.ioredis(one, { allow: ['client|tracking', 'object|freq', 'Scan'] });
    expect(await right.scan(0)).toEqual(['0', []]);
  });

  it('sends what is allowed by name as it is', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one, {
      allow: ['keys', 'SCAN', 'BLPOP', 'xread', 'CLIENT|TRACKING'],
    });
    await kv.set('n', '1');
    expect(await kv.keys('n*')).toEqual(['n']);
    const found: string[] = [];
    for await (const part of kv.scanStream({ match: 'n' })) found.push(...part);
    expect(found).toEqual(['n']);
    await expect(kv.dbsize()).rejects.toMatchObject({ code: 'unsupported' });
    await kv.rpush('l', 'a', 'b');
    await clients.evict(one, 'l');
    expect(await kv.blpop('l', 1)).toEqual(['l', 'a']);
    expect((await one.stats()).dirty).toBe(1);
    const waiting = kv.duplicate().blpop('queue', 5);
    await kv.rpush('queue', 'x');
    expect(await waiting).toEqual(['queue', 'x']);
    await kv.rpush('l', 'c');
    // There nothing waits, and so it is guarded.
    expect(await kv.multi().blpop('l', 1).exec()).toEqual([[null, ['l', 'b']]]);
  });

  it('leaves what has no keys to the client', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    expect(await kv.info('server')).toContain('redis_version');
    expect(await kv.config('GET', 'maxmemory')).toEqual(['maxmemory', '0']);
    const listener = kv.duplicate();
    const heard = new Promise((resolve) => listener.on('message', (_, text) => resolve(text)));
    await listener.subscribe('channel');
    await kv.publish('channel', 'text');
    expect(await heard).toBe('text');
    // A client that listens may use keys all the same.
    expect(await listener.set('n', '1')).toBe('OK');
    listener.disconnect();
    expect(await kv.time()).toHaveLength(2);
  });

  it("leaves keys alone that are not archived, and refuses the archive's own", async () => {
    const { one, cold } = on.world();
    const hot = redisKeys(new Redis(on.url, { lazyConnect: true }), {
      prefix: 'user:',
      namespace: 'apart',
    });
    const safe = archive({ hot, cold, throttleMs: 0 });
    const kv = clients.ioredis(safe);
    await kv.mset('user:1', 'a', 'other', 'b');
    expect((await safe.stats()).dirty).toBe(1);
    await clients.evict(safe, 'user:1');
    expect(await kv.mget('other', 'user:1')).toEqual(['b', 'a']);
    await clients.evict(safe, 'user:1');
    expect(await kv.del('other', 'user:1')).toBe(2);
    expect(await kv.exists('user:1')).toBe(0);
    await expect(kv.get('apart:clock')).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(kv.del('n', 'apart:marks')).rejects.toMatchObject({ code: 'invalid-argument' });
    await safe.close();
    await one.stats();
  });

  it('fails the commands whose keys cannot be brought back, and no others', async () => {
    const { one, plan, cold } = on.world();
    const kv = clients.ioredis(one);
    await kv.mset('a', '1', 'b', '2', 'c', '3');
    await clients.evict(one, 'a', 'b', 'c');
    plan.failNext('read');
    const results = await Promise.allSettled([kv.incr('a'), kv.set('d', '4'), kv.get('d')]);
    expect(results).toMatchObject([
      { status: 'rejected', reason: { code: 'unavailable', key: 'a' } },
      { status: 'fulfilled', value: 'OK' },
      { status: 'fulfilled', value: '4' },
    ]);
    expect(await kv.incr('a')).toBe(2);
    await cold.delete('strata-archive/k/b');
    await expect(kv.exists('b')).rejects.toMatchObject({ code: 'data-missing', key: 'b' });
    await expect(kv.multi().incr('a').get('b').exec()).rejects.toMatchObject({
      code: 'data-missing',
    });
    await expect(kv.watch('b')).rejects.toMatchObject({ code: 'data-missing' });
    expect(await kv.get('a')).toBe('2');
    // What replaces it whole, or deletes it, needs none of it.
    expect(await kv.set('b', 'new')).toBe('OK');
    expect(await kv.get('b')).toBe('new');
    await cold.delete('strata-archive/k/c');
    expect(await kv.del('c')).toBe(1);
    expect(await kv.exists('c')).toBe(0);
  });

  it('does not let a wrong command harm those that it went with', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.set('n', '1');
    const results = await Promise.allSettled([
      kv.incr('n'),
      run(kv, 'GET n n n'),
      kv.incr('n'),
      run(kv, 'NOSUCH n'),
      run(kv, 'SET n'),
      kv.get('n'),
    ]);
    expect(
      results.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
    ).toEqual([
      2,
      "ERR wrong number of arguments for 'get' command",
      3,
      "ERR unknown command 'NOSUCH', with args beginning with: 'n' ",
      "ERR wrong number of arguments for 'set' command",
      '3',
    ]);
  });

  it('goes on when scripts are forgotten, connections are cut, and memory is out', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.set('n', '1');
    await on.client.scriptFlush();
    expect(await kv.get('n')).toBe('1');
    await on.client.scriptFlush();
    expect(await kv.incr('n')).toBe(2);
    expect((await one.stats()).dirty).toBe(1);
    await on.client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    expect(await kv.get('n')).toBe('2');
    await clients.evict(one, 'n');
    await kv.set('big', 'x'.repeat(100_000));
    await on.client.configSet({ maxmemory: '1' });
    try {
      await expect(kv.set('m', '1')).rejects.toThrow(/^OOM/);
      expect(await kv.strlen('big')).toBe(100_000);
      expect(await kv.del('n')).toBe(1);
      expect(await kv.del('big')).toBe(1);
    } finally {
      await on.client.configSet({ maxmemory: '0' });
    }
    expect(await kv.exists('n', 'big', 'm')).toBe(0);
    await one.drain();
    await one.ensure('n', 'big');
    expect(await on.client.exists(['n', 'big'])).toBe(0);
  });

  it('refuses clients and options that are wrong', async () => {
    const { one } = on.world();
    const client = new Redis(on.url, { lazyConnect: true });
    const wrong: [unknown, unknown, RegExp][] = [
      [{}, { archive: one }, /client of ioredis or node-redis/],
      [client, {}, /archive/],
      [client, { archive: memory() }, /made by archive\(\)/],
      [client, { archive: one, allow: 'SCAN' }, /list of names/],
      [client, { archive: one, maxPending: 0 }, /maxPending/],
      [client, { archive: one, nosuch: 1 }, /nosuch/],
    ];
    for (const [given, options, message] of wrong)
      expect(() => archivedRedis(given as Redis, options as { archive: typeof one })).toThrow(
        expect.objectContaining({
          code: 'invalid-argument',
          message: expect.stringMatching(message),
        }),
      );
    const elsewhere = clients.ioredis(one, {}, { db: 1 });
    await expect(elsewhere.get('n')).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('another server or database'),
    });
    const few = clients.ioredis(one, { maxPending: 2 });
    await few.get('n');
    const many = await Promise.allSettled([1, 2, 3].map(() => few.incr('n')));
    expect(many.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(many[2]).toMatchObject({ reason: { code: 'overloaded' } });
    const early = clients.ioredis(one, { maxPending: 2 });
    const first = await Promise.allSettled([1, 2, 3].map(() => early.incr('n')));
    expect(first[2]).toMatchObject({ reason: { code: 'overloaded' } });
  });
});
