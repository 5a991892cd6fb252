import { createClient, defineScript, RESP_TYPES, WatchError } from 'redis';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { ArchivedClients } from '../../../../test/support/archived-clients.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { archivedRedis } from './index.ts';

describeWithEngine('redis-server', 'archivedRedis, a client of node-redis', () => {
  const on = new ArchiveServer();
  const clients = new ArchivedClients(on);

  it.each([2, 3] as const)('gives what the methods of the client give: RESP%i', async (RESP) => {
    const { one } = on.world();
    const kv = await clients.nodeRedis(one, {}, { RESP: RESP as 3 });
    await kv.mSet({ a: '1', b: '2' });
    await kv.hSet('h', { x: '1', y: '2' });
    await kv.zAdd('z', { score: 1.5, value: 'one' });
    await clients.evict(one, 'a', 'b', 'h', 'z');
    expect(await kv.mGet(['a', 'b'])).toEqual(['1', '2']);
    expect(await kv.hGetAll('h')).toEqual({ x: '1', y: '2' });
    expect(await kv.zRangeWithScores('z', 0, -1)).toEqual([{ score: 1.5, value: 'one' }]);
    expect(await kv.sendCommand(['GET', 'a'])).toBe('1');
    await clients.evict(one, 'a', 'b', 'h');
    const buffers = kv.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    expect(await buffers.get('a')).toEqual(Buffer.from('1'));
    expect(await Promise.all([buffers.get('a'), kv.get('a')])).toEqual([Buffer.from('1'), '1']);
    const fields: unknown[] = [];
    for await (const part of kv.hScanIterator('h')) fields.push(...part);
    expect(fields).toHaveLength(2);
    await expect(kv.hGetAll('a')).rejects.toThrow('WRONGTYPE Operation against a key');
    expect([kv.isReady, await kv.ping()]).toEqual([true, 'PONG']);
  });

  it('runs transactions and pipelines', async () => {
    const { one } = on.world();
    const kv = await clients.nodeRedis(one);
    await kv.set('n', '1');
    await kv.hSet('h', 'f', 'v');
    await clients.evict(one, 'n', 'h');
    expect(await kv.multi().incr('n').hGetAll('h').del(['h', 'none']).exec()).toEqual([
      ...[2, { f: 'v' }, 1],
    ]);
    await clients.evict(one, 'n');
    expect(await kv.multi().incr('n').get('n').execAsPipeline()).toEqual([3, '3']);
    const failed = await kv
      .multi()
      .lPush('n', 'x')
      .incr('n')
      .exec()
      .catch((error) => error);
    expect(failed.constructor.name).toBe('MultiErrorReply');
    expect(failed.replies[0].message).toMatch(/^WRONGTYPE/);
    expect(failed.replies[1]).toBe(4);
    await expect(kv.multi().addCommand(['GET']).incr('n').exec()).rejects.toThrow(
      "ERR wrong number of arguments for 'get' command",
    );
    expect(await kv.get('n')).toBe('4');
  });

  it('watches keys, also those that are evicted', async () => {
    const { one } = on.world();
    const [kv, other] = [await clients.nodeRedis(one), await clients.nodeRedis(one)];
    await kv.set('n', '1');
    await clients.evict(one, 'n');
    expect(await kv.watch('n')).toBe('OK');
    expect(await kv.get('n')).toBe('1');
    expect(await kv.multi().set('n', '2').exec()).toEqual(['OK']);
    await kv.watch(['n', 'm']);
    await other.set('m', '3');
    await expect(kv.multi().set('n', '4').exec()).rejects.toBeInstanceOf(WatchError);
    await kv.watch('n');
    await other.incr('n');
    await kv.unwatch();
    expect(await kv.multi().incr('n').exec()).toEqual([4]);
  });

  it('runs scripts that the client has as methods', async () => {
    const { one } = on.world();
    const add = defineScript({
      SCRIPT: 'return redis.call("INCRBY", KEYS[1], ARGV[1])',
      NUMBER_OF_KEYS: 1,
      parseCommand(parser, key: string, by: number) {
        parser.pushKey(key);
        parser.push(String(by));
      },
      transformReply: (reply: number) => reply,
    });
    const client = createClient({ url: on.url, scripts: { add } });
    const kv = archivedRedis(client, { archive: one });
    // The bare client would know of nothing.
    expect((await kv.connect()) === kv).toBe(true);
    expect(kv.on('error', () => undefined) === kv).toBe(true);
    await kv.set('n', '1');
    await clients.evict(one, 'n');
    expect(await kv.add('n', 5)).toBe(6);
    expect((await one.stats()).dirty).toBe(1);
    await clients.evict(one, 'n');
    expect(await kv.multi().add('n', 5).exec()).toEqual([11]);
    await kv.close();
    await expect(kv.get('n')).rejects.toMatchObject({ code: 'closed' });
  });

  it('adds the prefix of the client once, also for what is watched', async () => {
    const { one } = on.world();
    const kv = await clients.nodeRedis(one, {}, { keyPrefix: 'app:' });
    await kv.set('n', '1');
    await clients.evict(one, 'app:n');
    expect(await kv.incr('n')).toBe(2);
    await kv.watch('n');
    await on.client.set('app:n', '7');
    await expect(kv.multi().incr('n').exec()).rejects.toBeInstanceOf(WatchError);
    expect(await kv.multi().incr('n').exec()).toEqual([8]);
  });
});
