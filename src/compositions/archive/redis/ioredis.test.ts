import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { ArchivedClients } from '../../../../test/support/archived-clients.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';

/** A transaction within a pipeline, of which the types do not know. */
interface Nesting {
  multi(): Nesting;
  incr(key: string): Nesting;
  get(key: string): Nesting;
  exec(): { exec(): Promise<[Error | null, unknown][]> };
}

describeWithEngine('redis-server', 'archivedRedis, a client of ioredis', () => {
  const on = new ArchiveServer();
  const clients = new ArchivedClients(on);

  it('gives what the methods of the client give', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.mset({ a: '1', b: '2' });
    await kv.hset('h', new Map([['x', '1']]));
    await kv.zadd('z', 1, 'one');
    await clients.evict(one, 'a', 'b', 'h', 'z');
    expect(await kv.mget('a', 'b')).toEqual(['1', '2']);
    expect(await kv.hgetall('h')).toEqual({ x: '1' });
    expect(await kv.hgetallBuffer('h')).toEqual({ x: Buffer.from('1') });
    expect(await kv.zrange('z', 0, -1, 'WITHSCORES')).toEqual(['one', '1']);
    expect(await kv.getBuffer('a')).toEqual(Buffer.from('1'));
    expect(await kv.call('get', 'b')).toBe('2');
    await clients.evict(one, 'a', 'b');
    const called = await new Promise((resolve) => void kv.get('a', (_, value) => resolve(value)));
    expect(called).toBe('1');
    await expect(kv.hgetall('a')).rejects.toThrow('WRONGTYPE Operation against a key');
    await expect(kv.hgetall('a')).rejects.toMatchObject({
      name: 'ReplyError',
      command: { name: 'hgetall', args: ['a'] },
    });
    expect(kv.status).toBe('ready');
    expect(kv.on('error', () => undefined)).toBe(kv);
    expect(await kv.ping()).toBe('PONG');
    await expect(kv.call('nosuch', 'a')).rejects.toThrow("ERR unknown command 'nosuch'");
  });

  it('takes binary keys, long ones and the empty one', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    const keys = [Buffer.from([0xff, 0, 0xfe]), 'x'.repeat(2_000), '', 'foo:♡'];
    for (const key of keys) await kv.set(key, 'v');
    await clients.evict(one, ...keys);
    expect(await Promise.all(keys.map((key) => kv.append(key, 'w')))).toEqual([2, 2, 2, 2]);
    expect(await kv.mget(keys)).toEqual(['vw', 'vw', 'vw', 'vw']);
  });

  it('runs pipelines, each command for itself', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.set('n', '1');
    await kv.rpush('l', 'a');
    await clients.evict(one, 'n', 'l');
    const pipeline = kv.pipeline().incr('n').get('l').lrange('l', 0, -1).ping().hgetall('none');
    const results = await pipeline.exec();
    expect(results?.map(([error, value]) => error?.message.slice(0, 9) ?? value)).toEqual([
      ...[2, 'WRONGTYPE', ['a'], 'PONG', {}],
    ]);
    await clients.evict(one, 'n');
    expect(await kv.pipeline([['get', 'n']]).exec()).toEqual([[null, '2']]);
    const nested = kv.pipeline().get('n') as unknown as Nesting;
    const within = await nested.multi().incr('n').get('n').exec().exec();
    expect(within.map(([, value]) => value)).toEqual(['2', 'OK', 'QUEUED', 'QUEUED', [3, '3']]);
  });

  it('runs transactions, and fails them as the client does', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.set('n', '1');
    await kv.hset('h', 'f', 'v');
    await clients.evict(one, 'n', 'h');
    expect(await kv.multi().incr('n').hgetall('h').del('h', 'none').exec()).toEqual([
      [null, 2],
      [null, { f: 'v' }],
      [null, 1],
    ]);
    expect(await kv.multi().ping().exec()).toEqual([[null, 'PONG']]);
    const [[error], [, value]] = (await kv.multi().lpush('n', 'x').incr('n').exec()) as [
      [Error],
      [null, number],
    ];
    expect(error.message).toMatch(/^WRONGTYPE/);
    expect(value).toBe(3);
    const aborted = await kv
      .multi()
      .incr('n')
      .call('get')
      .exec()
      .catch((caught) => caught);
    expect(aborted.message).toMatch(/^EXECABORT/);
    expect(aborted.previousErrors).toHaveLength(1);
    expect(await kv.get('n')).toBe('3');
    await clients.evict(one, 'n');
    expect(await kv.multi().del('n').set('n', '7').get('n').exec()).toEqual([
      [null, 1],
      [null, 'OK'],
      [null, '7'],
    ]);
    expect(await kv.multi([['incr', 'n']]).exec()).toEqual([[null, 8]]);
    await expect(kv.multi({ pipeline: false })).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('watches keys, also those that are evicted', async () => {
    const { one } = on.world();
    const [kv, other] = [clients.ioredis(one), clients.ioredis(one)];
    await kv.set('n', '1');
    await clients.evict(one, 'n');
    expect(await kv.watch('n')).toBe('OK');
    expect(await kv.get('n')).toBe('1');
    expect(await kv.multi().set('n', '2').exec()).toEqual([[null, 'OK']]);
    await kv.watch('n');
    await other.set('n', '3');
    expect(await kv.multi().set('n', '4').exec()).toBeNull();
    expect(await kv.get('n')).toBe('3');
    await kv.watch('n');
    await other.set('n', '5');
    await kv.unwatch();
    expect(await kv.multi().incr('n').exec()).toEqual([[null, 6]]);
    // Unawaited, in the order of the calls.
    const unawaited = [kv.watch('n'), kv.get('n'), kv.multi().set('n', '8').exec(), kv.get('n')];
    expect(await Promise.all(unawaited)).toEqual(['OK', '6', [[null, 'OK']], '8']);
    await kv.set('n', '6');
    // Its own writes count too.
    await kv.watch('n');
    await kv.incr('n');
    expect(await kv.multi().set('n', '0').exec()).toBeNull();
    await kv.watch('n');
    await clients.evict(one, 'n');
    expect(await kv.multi().incr('n').exec()).toBeNull();
    expect(await kv.multi().incr('n').exec()).toEqual([[null, 8]]);
  });

  it('runs scripts of the application on the keys that they name', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    kv.defineCommand('twice', {
      numberOfKeys: 1,
      lua: 'redis.call("INCR", KEYS[1]) return redis.call("INCR", KEYS[1])',
    });
    const scripted = kv as typeof kv & { twice(key: string): Promise<number> };
    await kv.set('n', '1');
    await clients.evict(one, 'n');
    expect(await scripted.twice('n')).toBe(3);
    expect((await one.stats()).dirty).toBe(1);
    await clients.evict(one, 'n');
    await kv.script('FLUSH');
    expect(await scripted.twice('n')).toBe(5);
    await kv.script('FLUSH');
    const twice = kv.multi() as unknown as { twice(key: string): { exec(): Promise<unknown> } };
    expect(await twice.twice('n').exec()).toEqual([[null, 7]]);
    await expect(kv.eval('return 1', 0)).rejects.toMatchObject({ code: 'unsupported' });
    expect(await clients.ioredis(one, { allow: ['eval'] }).eval('return 1', 0)).toBe(1);
    expect(await kv.eval('return KEYS[1]', 1, 'n')).toBe('n');
  });

  it('adds the prefix of the client once', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one, {}, { keyPrefix: 'app:' });
    await kv.set('n', '1');
    await clients.evict(one, 'app:n');
    expect(await kv.incr('n')).toBe(2);
    await kv.watch('n');
    await on.client.set('app:n', '7');
    expect(await kv.multi().incr('n').exec()).toBeNull();
    expect(await kv.pipeline().incr('n').exec()).toEqual([[null, 8]]);
    expect(await on.client.get('app:n')).toBe('8');
  });

  it('follows streams of a scan within a key, duplicates and the end of the client', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.sadd('s', 'a', 'b');
    await clients.evict(one, 's');
    const found: string[] = [];
    for await (const part of kv.sscanStream('s')) found.push(...part);
    expect(found.sort()).toEqual(['a', 'b']);
    await clients.evict(one, 's');
    const duplicate = kv.duplicate();
    expect(await duplicate.scard('s')).toBe(2);
    expect(await duplicate.quit()).toBe('OK');
    await expect(duplicate.scard('s')).rejects.toMatchObject({ code: 'closed' });
    expect(await kv.scard('s')).toBe(2);
  });
});
