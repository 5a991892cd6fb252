import { existsSync } from 'node:fs';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { meddledClient } from '../../../test/support/dynamodb-server.ts';
import { DynamoDbTable, placeOf } from '../../../test/support/dynamodb-table.ts';
import type { Store } from '../../store/index.ts';
import type { Attributes } from './item.ts';

const on = new DynamoDbTable();

async function spoil(store: Store<number>, key: string, change: Attributes): Promise<void> {
  const Item = { ...(await on.itemOf(store, key)), ...placeOf(store, key), ...change };
  await on.client.send(new PutItemCommand({ TableName: on.table, Item }));
}

describe('items', () => {
  it('tell damage, which can be replaced and removed, unconditionally', async () => {
    const store = on.open();
    const damages: Attributes[] = [
      { v: { B: new Uint8Array([1]) } },
      { v: { S: 'text' } },
      { h: { B: new Uint8Array(50) } },
      { h: { N: '1' } },
      { w: { N: '1' }, h: { N: '1' } },
    ];
    for (const damage of damages) {
      await store.set('a', 123);
      await spoil(store, 'a', damage);
      await expect(store.get('a')).rejects.toMatchObject({ code: 'corrupt', key: 'a' });
      await expect(store.getMany(['a', 'b'])).rejects.toMatchObject({ code: 'corrupt' });
      await store.set('a', 3);
      expect(await store.get('a')).toBe(3);
      await spoil(store, 'a', damage);
      expect(await store.delete('a')).toBe(true);
      expect(await on.itemOf(store, 'a')).toBeUndefined();
    }
  });

  it('tell the engine when they expire, in whole seconds and never too soon', async () => {
    const store = on.open();
    const expiresAt = Math.ceil(Date.now() / 1_000) * 1_000 + 60_001;
    await store.set('a', 1, { expiresAt });
    await store.set('b', 1);
    expect((await on.itemOf(store, 'a'))?.x).toEqual({ N: String((expiresAt + 999) / 1_000) });
    expect(await on.itemOf(store, 'b')).not.toHaveProperty('x');
    await store.set('a', 2);
    expect(await on.itemOf(store, 'a')).not.toHaveProperty('x');
  });

  it('are read as they stand, and never as a copy that lags has them', async () => {
    const lax: string[] = [];
    const store = on.open({
      client: meddledClient(on.server, async ({ command, input, send }) => {
        const request = (input.RequestItems as Record<string, typeof input>)?.[on.table] ?? input;
        const isRead = /Get|Query/.test(command);
        if (isRead && request.ConsistentRead !== true) lax.push(command);
        return send();
      }),
    });
    await store.set('a', 1);
    await store.get('a');
    await store.getMany(['a', 'b']);
    for await (const _ of store.list()) await store.has('a');
    expect(lax).toEqual([]);
  });

  it('of several stores lie apart in one table', async () => {
    const stores = ['a', 'a0', 'b'].map((prefix) => on.open({ prefix, shards: 2 }));
    for (const [n, store] of stores.entries()) await store.set('k', n);
    for (const [n, store] of stores.entries()) {
      const found: [string, number][] = [];
      for await (const { key, value } of store.list()) found.push([key, value]);
      expect(found).toEqual([['k', n]]);
      expect(await store.clear()).toBe(1);
    }
  });

  it('come in the order of keys from all shards, in pages', async () => {
    const small = meddledClient(on.server, async ({ send }) => send());
    small.middlewareStack.add(
      (next) => (args) => {
        const input = args.input as unknown as Record<string, unknown>;
        if ('Limit' in input) input.Limit = 3;
        return next(args);
      },
      { step: 'initialize', name: 'small' },
    );
    const store = on.open({ client: small, shards: 7 });
    const keys = Array.from({ length: 60 }, (_, n) => `k${String(n).padStart(2, '0')}`);
    await store.setMany(keys.map((key, n) => [key, n] as const));
    const collect = async (range: object): Promise<string[]> => {
      const found: string[] = [];
      for await (const key of store.keys(range)) found.push(key);
      return found;
    };
    expect(await collect({})).toEqual(keys);
    expect(await collect({ reverse: true })).toEqual(keys.toReversed());
    expect(await collect({ gt: 'k03', lte: 'k40', limit: 30 })).toEqual(keys.slice(4, 34));
    expect(await collect({ reverse: true, limit: 5, lt: 'k15' })).toEqual(
      keys.slice(10, 15).toReversed(),
    );
    expect(await collect({ gt: 'k40', lt: 'k03' })).toEqual([]);
    expect(await collect({ gte: 'x'.repeat(5_000) })).toEqual([]);
    expect(await collect({ lt: 'x'.repeat(5_000) })).toEqual(keys);
  });
});

const built = new URL('../../../dist/drivers/dynamodb/index.js', import.meta.url);
// Skipped where nothing is built, as the tests' own command does before.
it.skipIf(!existsSync(built))('does as it is built what it does as it is written', async () => {
  const { dynamodb: packaged } = (await import(built.href)) as typeof import('./index.ts');
  const store = packaged({
    client: on.client,
    table: on.table,
    prefix: crypto.randomUUID(),
    shards: 2,
  });
  const value = new Uint8Array([1, 2, 3]);
  const { version } = await store.set('a', value);
  expect(await store.getEntry('a')).toMatchObject({ value, version });
  await store.set('b', value, { if: 'absent' });
  const keys: string[] = [];
  for await (const key of store.keys()) keys.push(key);
  expect(keys).toEqual(['a', 'b']);
  expect(await store.delete('a', { if: { version } })).toBe(true);
});
