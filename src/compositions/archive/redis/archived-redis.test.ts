import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { ArchivedClients } from '../../../../test/support/archived-clients.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';

describeWithEngine('redis-server', 'archivedRedis', () => {
  const on = new ArchiveServer();
  const clients = new ArchivedClients(on);

  it('brings back what a command needs: ioredis', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one);
    await kv.set('n', '41');
    await clients.evict(one, 'n');
    expect(await kv.incr('n')).toBe(42);
    await kv.hset('h', { a: '1', b: '2' });
    await clients.evict(one, 'h');
    expect(await kv.hgetall('h')).toEqual({ a: '1', b: '2' });
    expect((await one.stats()).dirty).toBe(0);
    await clients.evict(one, 'h');
    expect(await kv.exists('h')).toBe(1);
    await clients.evict(one, 'h');
    expect(await kv.del('h', 'none')).toBe(1);
    expect(await kv.exists('h')).toBe(0);
  });

  it('brings back what a command needs: node-redis', async () => {
    const { one } = on.world();
    const kv = await clients.nodeRedis(one);
    await kv.set('n', '41');
    await clients.evict(one, 'n');
    expect(await kv.incr('n')).toBe(42);
    await kv.hSet('h', { a: '1', b: '2' });
    await clients.evict(one, 'h');
    expect(await kv.hGetAll('h')).toEqual({ a: '1', b: '2' });
    await clients.evict(one, 'h');
    expect(await kv.multi().exists('h').hSet('h', 'c', '3').exec()).toEqual([1, 1]);
    await clients.evict(one, 'h');
    expect(await kv.del(['h', 'none'])).toBe(1);
    expect(await kv.exists('h')).toBe(0);
  });

  it('ends only when what is sent as it is has been answered, and marked', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one, { allow: ['BLPOP'] });
    const another = clients.ioredis(one);
    await another.rpush('kept', 'a');
    const popped = kv.blpop('queue', 10);
    await expect.poll(() => on.client.info('clients')).toContain('blocked_clients:1');
    const ended = kv.quit();
    await on.client.rPush('queue', ['a', 'b']);
    expect(await popped).toEqual(['queue', 'a']);
    expect(await ended).toBe('OK');
    expect((await one.drain()).frozen).toBe(2);
  });

  it('does not say that nothing was done when what was sent as it is cannot be marked', async () => {
    const { one } = on.world();
    const kv = clients.ioredis(one, { allow: ['BLPOP'] });
    const popped = expect(kv.blpop('queue', 10)).rejects.toMatchObject({
      code: 'unknown-outcome',
      cause: { code: 'closed' },
    });
    await expect.poll(() => on.client.info('clients')).toContain('blocked_clients:1');
    await one.close();
    await on.client.rPush('queue', ['a', 'b']);
    await popped;
  });
});
