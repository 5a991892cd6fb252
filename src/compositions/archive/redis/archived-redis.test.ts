import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterEach, expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import type { Archive } from '../index.ts';
import { archivedRedis } from './index.ts';

describeWithEngine('redis-server', 'archivedRedis', () => {
  const on = new ArchiveServer();
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  const ioredis = (archive: Archive): Redis => {
    const bare = new Redis(on.url);
    const kv = archivedRedis(bare, { archive });
    ends.push(() => kv.disconnect());
    return kv;
  };
  const nodeRedis = async (archive: Archive) => {
    const kv = archivedRedis(createClient({ url: on.url }), { archive });
    await kv.connect();
    ends.push(() => kv.destroy());
    return kv;
  };

  const evicted = async (one: Archive, key: string): Promise<void> => {
    await one.dirty(key);
    await one.drain();
    expect(await one.evict(key)).toEqual({ evicted: 1, kept: [] });
  };

  it('brings back what a command needs: ioredis', async () => {
    const { one } = on.world();
    const kv = ioredis(one);
    await kv.set('n', '41');
    await evicted(one, 'n');
    expect(await kv.incr('n')).toBe(42);
    await kv.hset('h', { a: '1', b: '2' });
    await evicted(one, 'h');
    expect(await kv.hgetall('h')).toEqual({ a: '1', b: '2' });
    expect((await one.stats()).dirty).toBe(0);
    await evicted(one, 'h');
    expect(await kv.exists('h')).toBe(1);
    await evicted(one, 'h');
    expect(await kv.del('h', 'none')).toBe(1);
    expect(await kv.exists('h')).toBe(0);
  });

  it('brings back what a command needs: node-redis', async () => {
    const { one } = on.world();
    const kv = await nodeRedis(one);
    await kv.set('n', '41');
    await evicted(one, 'n');
    expect(await kv.incr('n')).toBe(42);
    await kv.hSet('h', { a: '1', b: '2' });
    await evicted(one, 'h');
    expect(await kv.hGetAll('h')).toEqual({ a: '1', b: '2' });
    await evicted(one, 'h');
    expect(await kv.multi().exists('h').hSet('h', 'c', '3').exec()).toEqual([1, 1]);
    await evicted(one, 'h');
    expect(await kv.del(['h', 'none'])).toBe(1);
    expect(await kv.exists('h')).toBe(0);
  });
});
