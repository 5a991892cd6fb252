import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterEach, expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import type { RedisTransaction } from './index.ts';

/** A transaction of either library, as the tests use it. */
interface Begun {
  readonly transaction: RedisTransaction;
  add(...words: string[]): void;
  /** The answers, or what failed. */
  exec(): Promise<readonly unknown[]>;
}

describeWithEngine('redis-server', 'dirtyAtomically', () => {
  const on = new ArchiveServer();
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  const begin = {
    async ioredis(): Promise<Begun> {
      const client = new Redis(on.url, { keyPrefix: 'the-application:' });
      ends.push(() => client.disconnect());
      const transaction = client.multi();
      return {
        transaction,
        add: (...words) => transaction.call(...(words as [string])),
        exec: async () => (await transaction.exec())?.map(([error, value]) => error ?? value) ?? [],
      };
    },
    async 'node-redis'(): Promise<Begun> {
      const client = createClient({ url: on.url });
      await client.connect();
      ends.push(() => client.close());
      const transaction = client.multi();
      return {
        transaction,
        add: (...words) => transaction.addCommand(words),
        exec: () =>
          transaction
            .exec()
            .catch((error: { replies?: readonly unknown[] }) => error.replies ?? [error]),
      };
    },
  };

  it.each(['ioredis', 'node-redis'] as const)(
    'marks with what it stands beside: %s',
    async (library) => {
      const { one } = on.world();
      const prefix = library === 'ioredis' ? 'the-application:' : '';
      const [a, gone, later] = [`${prefix}a`, `${prefix}gone`, `${prefix}later`];
      await on.frozen(one, gone, 'v');
      const { transaction, add, exec } = await begin[library]();
      add('SET', 'a', 'new');
      add('DEL', 'gone');
      one.dirtyAtomically(transaction, [a, gone, later, Buffer.from([0xff, 0])]);
      add('SET', 'later', 'v');
      expect((await one.stats()).dirty).toBe(0);
      expect(await exec()).toEqual(['OK', 1, [], 'OK']);
      expect((await one.stats()).dirty).toBe(4);
      expect(await one.drain()).toEqual({ frozen: 2, deleted: 2, failed: [] });
      expect(await one.evict(a, later)).toMatchObject({ evicted: 2 });
      await one.ensure(a, gone, later);
      expect(await on.client.mGet([a, gone, later])).toEqual(['new', null, 'v']);
    },
  );

  it('marks nothing when the transaction is not carried out', async () => {
    const { one } = on.world();
    const client = createClient({ url: on.url });
    await client.connect();
    ends.push(() => client.close());
    await client.watch('k');
    await on.client.set('k', 'changed by another');
    const transaction = client.multi().set('k', 'v');
    one.dirtyAtomically(transaction, ['k']);
    await expect(transaction.exec()).rejects.toThrow();
    one.dirtyAtomically(client.multi().set('k', 'v'), ['k']);
    expect((await one.stats()).dirty).toBe(0);
  });

  it('is refused as a whole without room in Redis', async () => {
    const { one } = on.world();
    await on.client.rPush('list', ['a', 'b']);
    await on.client.configSet('maxmemory', '1');
    try {
      const transaction = on.client.multi().lPop('list');
      one.dirtyAtomically(transaction, ['list']);
      await expect(transaction.exec()).rejects.toThrow(/OOM/);
    } finally {
      await on.client.configSet('maxmemory', '0');
    }
    expect(await on.client.lLen('list')).toBe(2);
    expect((await one.stats()).dirty).toBe(0);
  });

  it('tells of keys that are evicted, and lets them be', async () => {
    const { one } = on.world();
    await on.evicted(one, 'away', 'v');
    await on.evicted(one, 'written', 'v');
    const transaction = on.client.multi().del('away').set('written', 'new');
    one.dirtyAtomically(transaction, ['here', 'away', 'written']);
    expect(await transaction.exec()).toEqual([0, 'OK', [2]]);
    await one.drain();
    await one.ensure('away', 'written');
    expect(await on.client.mGet(['away', 'written'])).toEqual(['v', 'new']);
  });

  it('survives that the server forgets its scripts', async () => {
    const { one } = on.world();
    await one.stats();
    const transaction = on.client.multi().set('k', 'v');
    one.dirtyAtomically(transaction, ['k']);
    await on.client.scriptFlush();
    await transaction.exec();
    expect(await one.drain()).toMatchObject({ frozen: 1 });
  });

  it('refuses what is no transaction, and keys that are not the archive’s', async () => {
    const { one } = on.world();
    const ioredis = new Redis(on.url, { lazyConnect: true });
    ends.push(() => ioredis.disconnect());
    for (const wrong of [undefined, {}, on.client, ioredis, ioredis.pipeline()])
      expect(() => one.dirtyAtomically(wrong as never, ['k'])).toThrow(/the transaction/);
    const transaction = on.client.multi();
    expect(() => one.dirtyAtomically(transaction, ['strata-archive:marks'])).toThrow(/own/);
    expect(await transaction.exec()).toEqual([]);
  });
});
