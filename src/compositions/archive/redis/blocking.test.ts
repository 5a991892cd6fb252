/** Commands that wait for data, on keys that are archived. */
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { ArchivedClients } from '../../../../test/support/archived-clients.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { archive, redisKeys } from '../index.ts';

describeWithEngine('redis-server', 'archivedRedis, commands that wait', () => {
  const on = new ArchiveServer();
  const clients = new ArchivedClients(on);
  const marked = (): Promise<string[]> => on.client.hKeys('strata-archive:marks');

  it('takes what is there at once, evicted or not, and marks it in that step', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    const node = await clients.nodeRedis(one);
    await kv.rpush('l', 'a', 'b', 'c');
    await kv.zadd('z', 1, 'x', 2, 'y', 3, 'w');
    await kv.xadd('s', '1-1', 'f', 'v');
    const all = ['l', 'z', 's'];
    await clients.evict(one, ...all);
    expect(await kv.blpop('none', 'l', 0)).toEqual(['l', 'a']);
    expect(await node.bzPopMin(['none', 'z'], 0)).toEqual({ key: 'z', value: 'x', score: 1 });
    expect(await kv.xread('BLOCK', 0, 'STREAMS', 's', '0')).toEqual([['s', [['1-1', ['f', 'v']]]]]);
    expect(await marked()).toEqual(['l', 'z']);
    await one.drain();
    expect(await node.blmPop(0, ['none', 'l'], 'RIGHT')).toEqual(['l', ['c']]);
    expect(await kv.blmove('l', 'm', 'LEFT', 'LEFT', 0)).toBe('b');
    expect((await marked()).sort()).toEqual(['l', 'm']);
    // What was emptied is deleted in the cold store too.
    await one.drain();
    await on.client.del('m');
    await one.rebuildIndex({ restore: true });
    expect(await on.client.exists('l')).toBe(0);
    expect(await kv.lrange('m', 0, -1)).toEqual(['b']);
  });

  it('waits for what others write, restore or move, and no longer than it is to', async () => {
    const { one, another } = on.world();
    const kv = clients.ioredis(one);
    const other = clients.ioredis(another());
    const popped = kv.blpop('l', 'k', 5);
    await other.rpush('k', 'x');
    expect(await popped).toEqual(['k', 'x']);
    expect(await kv.exists('k')).toBe(0);
    expect(await marked()).toEqual(['k']);
    // It holds up nobody: not what is written to the same key over the same client.
    const moved = kv.blmove('from', 'to', 'LEFT', 'RIGHT', 0);
    expect(await kv.rpush('from', 'y')).toBe(1);
    expect(await moved).toBe('y');
    const least = kv.bzpopmin('z', 0);
    await on.client.sAdd('z', 'of another type for a while');
    await other.get('none');
    await on.client.del('z');
    await on.client.zAdd('z', { score: 2, value: 'm' });
    expect(await least).toEqual(['z', 'm', '2']);
    const before = performance.now();
    expect(await kv.blpop('l', 0.15)).toBeNull();
    expect(await kv.xread('BLOCK', 100, 'STREAMS', 's', '$')).toBeNull();
    expect(performance.now() - before).toBeGreaterThanOrEqual(249);
    await expect(kv.blpop('to', 'no number')).rejects.toThrow('ERR timeout is not a float');
    await expect(kv.blpop('to', -1)).rejects.toThrow('ERR timeout is negative');
    await kv.set('string', '1');
    await expect(kv.blpop('string', 1)).rejects.toThrow(/^WRONGTYPE/);
  });

  it('reads streams from where they were at the call, also evicted ones', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    const add = (id: string): Promise<unknown> => kv.xadd('s', id, 'n', id);
    await add('1-1');
    await add('2-1');
    await kv.xgroup('CREATE', 's', 'g', '1-1');
    await clients.evict(one, 's');
    const next = kv.xread('COUNT', 5, 'BLOCK', 0, 'STREAMS', 's', 'new', '$', '$');
    await one.ensure('s');
    await one.evict('s');
    await add('3-1');
    expect(await next).toEqual([['s', [['3-1', ['n', '3-1']]]]]);
    const asked = kv.call('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>');
    expect(await asked).toEqual([
      [
        's',
        [
          ['2-1', ['n', '2-1']],
          ['3-1', ['n', '3-1']],
        ],
      ],
    ]);
    const later = kv.call('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>');
    await expect.poll(async () => (await one.drain()) && (await marked())).toEqual([]);
    // Waiting writes nothing.
    await kv.xread('BLOCK', 120, 'STREAMS', 's', '$');
    expect(await marked()).toEqual([]);
    await clients.evict(one, 's');
    await add('4-1');
    expect(await later).toEqual([['s', [['4-1', ['n', '4-1']]]]]);
    const gone = kv.call('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>');
    const told = expect(gone).rejects.toThrow(/^NOGROUP/);
    await kv.del('s');
    await told;
  });

  it('takes no name of a group or of a consumer for an option', async () => {
    const kv = clients.ioredis(on.world().one);
    const names: string[] = ['STREAMS', 'BLOCK', 'group'];
    for (const name of names) await kv.xgroup('CREATE', 's', name, '$', 'MKSTREAM');
    const read = (group: string, consumer: string, ...options: string[]): Promise<unknown> =>
      kv.call('XREADGROUP', 'GROUP', group, consumer, ...options, 'STREAMS', 's', '>');
    const waiting = names.flatMap((group) =>
      names.map((consumer) => read(group, consumer, 'COUNT', '1', 'BLOCK', '0')),
    );
    expect(await read('BLOCK', '0')).toBeNull();
    for (const _ of names) await kv.xadd('s', '*', 'f', 'v');
    expect((await Promise.all(waiting)).filter((reply) => reply === null)).toEqual([]);
  });

  it('gives each of many what it takes once, whatever is evicted meanwhile', async () => {
    const { one, another } = on.world();
    const worker = another();
    const producer = clients.ioredis(another());
    const consumers = [clients.ioredis(one), clients.ioredis(another())];
    const got: string[] = [];
    const consumed = consumers.map(async (kv) => {
      for (;;) {
        const reply = await kv.blpop('q', 'r', 20);
        if (reply?.[1] === 'end') return;
        got.push(reply?.[1] ?? 'nothing');
      }
    });
    const made: string[] = [];
    let evicted = 0;
    for (let n = 0; n < 150 || evicted < 3; n++) {
      const name = n % 2 === 0 ? 'q' : 'r';
      made.push(`a${n}`, `b${n}`);
      await producer.rpush(name, `a${n}`, `b${n}`);
      if (n % 3 > 0) continue;
      await worker.drain();
      evicted += (await worker.evict('q', 'r')).evicted;
    }
    // From there is taken last.
    await producer.rpush('r', 'end', 'end');
    await Promise.all(consumed);
    expect(got.sort()).toEqual(made.sort());
  }, 60_000);

  it('does not wait within transactions, nor when the client ends', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.rpush('l', 'a');
    await clients.evict(one, 'l');
    expect(await kv.multi().blpop('l', 0).blpop('l', 0).exec()).toEqual([
      [null, ['l', 'a']],
      [null, null],
    ]);
    expect(await marked()).toEqual(['l']);
    const node = await clients.nodeRedis(one);
    const never = expect(node.blPop('l', 0)).rejects.toMatchObject({ code: 'closed' });
    await node.get('n');
    await node.close();
    await never;
    const ended = expect(kv.blpop('l', 0)).rejects.toMatchObject({ code: 'closed' });
    await kv.get('n');
    kv.disconnect();
    await ended;
    const few = clients.ioredis(one, { maxPending: 3 });
    await few.get('n');
    const waiting = ['a', 'b', 'c'].map((key) => few.blpop(key, 0));
    await expect(Promise.all(waiting.map((_, at) => few.blpop(`${at}`, 0)))).rejects.toMatchObject({
      code: 'overloaded',
    });
    await on.client.rPush('b', 'x');
    expect(await waiting[1]).toEqual(['b', 'x']);
    const rest = Promise.allSettled(waiting);
    few.disconnect();
    expect(await rest).toMatchObject(
      ['rejected', 'fulfilled', 'rejected'].map((status) => ({ status })),
    );
  });

  it('leaves it to the client where no key is archived', async () => {
    const { cold } = on.world();
    const pattern = new Redis(on.url, { lazyConnect: true });
    const safe = archive({ hot: redisKeys(pattern, { prefix: 'user:' }), cold, throttleMs: 0 });
    const kv = clients.ioredis(safe);
    const popped = kv.blpop('queue', 0);
    await expect
      .poll(async () => String(await on.client.sendCommand(['CLIENT', 'LIST'])))
      .toMatch(/cmd=blpop/);
    await on.client.rPush('queue', 'x');
    expect(await popped).toEqual(['queue', 'x']);
    await safe.close();
  });
});
