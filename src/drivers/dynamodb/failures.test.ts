import { CreateTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import {
  broken,
  meddledClient,
  startDynamoDb,
  startRefusing,
  throttled,
} from '../../../test/support/dynamodb-server.ts';
import { DynamoDbTable, prefixOf } from '../../../test/support/dynamodb-table.ts';
import { freePort } from '../../../test/support/redis-server.ts';
import type { Store } from '../../store/index.ts';
import { dynamodb } from './index.ts';
import type { Attributes } from './item.ts';

const on = new DynamoDbTable();

/** Whether a request writes an entry, and not the store's settings. */
const writesEntry = (command: string, input: Record<string, unknown>): boolean =>
  /^(Put|Delete)Item/.test(command) && isEntry(input);

const isEntry = (input: Record<string, unknown>): boolean => {
  const { p } = (input.Item ?? input.Key ?? {}) as Attributes;
  return p?.S?.includes('/') === true;
};

describe('what is refused', () => {
  it('says denied for what the service says of wrong credentials', async () => {
    for (const name of [
      'UnrecognizedClientException',
      'InvalidSignatureException',
      'AccessDeniedException',
    ]) {
      await using refusing = await startRefusing(name, 'no');
      const store = on.open({ client: refusing.client() });
      await expect(store.get('a')).rejects.toMatchObject({ code: 'denied', retryable: false });
      await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'denied' });
    }
  });

  it('says unavailable for a missing table, by its name, and makes it only when asked', async () => {
    await using slow = await startDynamoDb(200);
    const missing = { client: slow.client(), table: 'missing' };
    const store = on.open(missing);
    const error = { code: 'unavailable', message: expect.stringContaining('"missing"') };
    await expect(store.get('a')).rejects.toMatchObject(error);
    await expect(store.set('a', 1)).rejects.toMatchObject(error);
    await expect(store.keys()[Symbol.asyncIterator]().next()).rejects.toMatchObject(error);
    // Several at once make it, and each waits until it is there.
    const prefix = prefixOf(store);
    const made = [1, 2, 3].map(() => on.open({ ...missing, prefix, create: true }));
    await Promise.all(made.map((one, n) => one.set(`k${n}`, n)));
    expect(await store.getMany(['k0', 'k1', 'k2'])).toHaveProperty('size', 3);
  });

  it('says unavailable where nobody listens, and tries again at the next call', async () => {
    const away = on.server.client({
      endpoint: `http://127.0.0.1:${await freePort()}`,
      maxAttempts: 1,
    });
    const store = on.open({ client: away });
    const error = { code: 'unavailable', retryable: true };
    for (let n = 0; n < 2; n++) {
      await expect(store.get('a')).rejects.toMatchObject(error);
      await expect(store.set('a', 1)).rejects.toMatchObject(error);
    }
  });

  it('says invalid-argument for a table of another key', async () => {
    await on.client.send(
      new CreateTableCommand({
        TableName: 'other',
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        BillingMode: 'PAY_PER_REQUEST',
      }),
    );
    for (const create of [true, false]) {
      const store = on.open({ table: 'other', create });
      await expect(store.get('a')).rejects.toMatchObject({ code: 'invalid-argument' });
      await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'invalid-argument' });
    }
  });

  it('keeps the number of shards that a store was begun with', async () => {
    const first = on.open({ shards: 4 });
    expect(await first.get('a')).toBeUndefined();
    await first.set('a', 1);
    const prefix = prefixOf(first);
    const other = on.open({ prefix, shards: 3 });
    const error = { code: 'invalid-argument', message: expect.stringContaining('4') };
    await expect(other.get('a')).rejects.toMatchObject(error);
    await expect(other.set('a', 2)).rejects.toMatchObject(error);
    expect(await on.open({ prefix }).get('a')).toBe(1);
    // Those that begin one at the same time agree.
    const shared = crypto.randomUUID();
    const tries = [2, 5].map((shards) => on.open({ prefix: shared, shards }).set('a', shards));
    const done = (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled');
    expect(done).toHaveLength(1);
  });

  it('refuses what is too large for an item before anything is changed', async () => {
    const prefix = crypto.randomUUID().padEnd(128, '-');
    const store = dynamodb({ client: on.client, table: on.table, prefix, shards: 64 });
    const most = store.capabilities.maxValueBytes as number;
    const key = 'k'.repeat(512);
    // All of the 16 KiB that metadata may have.
    const meta = { text: 'm'.repeat(16 * 1_024 - 11) };
    const value = new Uint8Array(most).map((_, at) => at % 251);
    for (let n = 0; n < 10; n++) await store.set(key, value, { meta, ttlMs: 3_600_000 });
    expect(Buffer.compare((await store.get(key)) as Uint8Array, value)).toBe(0);
    const larger = new Uint8Array(most + 1);
    const error = { code: 'invalid-argument', key: 'b' };
    await expect(
      store.batch([
        { type: 'set', key: 'a', value },
        { type: 'set', key: 'b', value: larger },
      ]),
    ).rejects.toMatchObject(error);
    expect(await store.has('a')).toBe(false);
  });

  it('refuses options that make no sense', () => {
    for (const options of [
      { prefix: '' },
      { prefix: 'a/b' },
      { prefix: 'x'.repeat(129) },
      { client: {} as DynamoDBClient },
      { shards: 0 },
      { shards: 65 },
      { table: '' },
    ])
      expect(() => on.open(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

describe('answers that are lost', () => {
  /** A store whose first write of an entry breaks off, before or after it is carried out. */
  function breaking(when: 'before' | 'after', meanwhile: (other: Store<number>) => Promise<void>) {
    const other = on.open();
    let writes = 0;
    const meddled = meddledClient(on.server, async ({ command, input, send }) => {
      if (!writesEntry(command, input) || writes++ > 0) return send();
      if (when === 'after') await send();
      await meanwhile(other);
      throw broken();
    });
    return { other, store: on.open({ prefix: prefixOf(other), client: meddled }) };
  }
  const nothing = async (): Promise<void> => {};

  it('writes once', async () => {
    const { store } = breaking('after', nothing);
    const { version } = await store.set('a', 1, { if: 'absent' });
    expect(await store.getEntry('a')).toMatchObject({ value: 1, version });
  });

  it('deletes, whether or not the first attempt was carried out', async () => {
    for (const when of ['before', 'after'] as const) {
      const { store, other } = breaking(when, nothing);
      await other.set('a', 1);
      expect(await store.delete('a')).toBe(true);
      expect(await other.has('a')).toBe(false);
    }
  });

  it('says unknown-outcome of a conditional delete when the key is gone', async () => {
    const { store, other } = breaking('after', nothing);
    const { version } = await other.set('a', 1);
    await expect(store.delete('a', { if: { version } })).rejects.toMatchObject({
      code: 'unknown-outcome',
      key: 'a',
    });
    const again = breaking('before', nothing);
    const head = await again.other.set('a', 1);
    expect(await again.store.delete('a', { if: { version: head.version } })).toBe(true);
  });

  it('knows that it was carried out from the write that replaced it', async () => {
    const { store } = breaking('after', async (other) => {
      for (let n = 2; n < 9; n++) await other.set('a', n);
    });
    await store.set('a', 1);
    expect(await store.get('a')).toBe(8);
  });

  it('knows that it was not carried out from the write that came first', async () => {
    const { store, other } = breaking('before', async () => void (await other.set('a', 2)));
    const { version } = await other.set('a', 0);
    await expect(store.set('a', 1, { if: { version } })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await store.get('a')).toBe(2);
    const removing = breaking('before', async (third) => void (await third.set('a', 2)));
    await removing.other.set('a', 0);
    expect(await removing.store.delete('a')).toBe(true);
    expect(await removing.store.has('a')).toBe(false);
  });

  it('says unknown-outcome when what stands does not tell', async () => {
    for (const when of ['before', 'after'] as const) {
      const { store, other } = breaking(when, async () => {
        await other.delete('a');
        await other.set('a', 3);
      });
      await other.set('a', 0);
      await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'unknown-outcome', key: 'a' });
      expect(await store.get('a')).toBe(3);
    }
  });

  it('does not let a write that comes late undo a newer one', async () => {
    const late: (() => Promise<unknown>)[] = [];
    const meddled = meddledClient(on.server, async ({ command, input, send }) => {
      if (!writesEntry(command, input)) return send();
      late.push(send);
      throw broken();
    });
    const other = on.open();
    await other.set('a', 0);
    await other.set('b', 0);
    const store = on.open({ prefix: prefixOf(other), client: meddled });
    const error = { code: 'unknown-outcome' };
    await expect(store.set('a', 1)).rejects.toMatchObject(error);
    await expect(store.delete('b')).rejects.toMatchObject(error);
    await other.set('a', 2);
    await other.set('b', 2);
    await Promise.allSettled(late.map((send) => send()));
    expect([...(await other.getMany(['a', 'b'])).values()]).toEqual([2, 2]);
  });

  it('does not apply what was given up before it was sent', async () => {
    const controller = new AbortController();
    const store = on.open({
      client: meddledClient(on.server, async ({ command, input, send }) => {
        try {
          return await send();
        } finally {
          if (command === 'GetItemCommand' && isEntry(input)) controller.abort();
        }
      }),
    });
    const { signal } = controller;
    await expect(store.set('a', 1, { signal })).rejects.toMatchObject({ code: 'aborted' });
    await store.close();
    expect(await on.itemOf(store, 'a')).toBeUndefined();
  });
});

describe('a table with too much to do', () => {
  it('is asked again, for reads and writes', async () => {
    const requests: Record<string, number> = {};
    const store = on.open({
      client: meddledClient(on.server, async ({ command, send }) => {
        requests[command] = (requests[command] ?? 0) + 1;
        if (requests[command] % 3 > 0) throw throttled();
        return send();
      }),
    });
    await store.set('a', 1);
    await store.set('a', 2);
    expect(await store.get('a')).toBe(2);
    expect((await store.getMany(['a', 'b'])).size).toBe(1);
    expect(await store.delete('a')).toBe(true);
  });

  it('is overloaded in the end, and nothing was written', async () => {
    let refused = /^$/;
    const store = on.open({
      client: meddledClient(on.server, async ({ command, send }) => {
        if (refused.test(command)) throw throttled();
        return send();
      }),
    });
    await store.set('a', 1);
    const error = { code: 'overloaded', retryable: true };
    refused = /^Get/;
    await expect(store.get('a')).rejects.toMatchObject(error);
    refused = /^(Put|Delete)/;
    await expect(store.set('a', 2)).rejects.toMatchObject(error);
    await expect(store.delete('a')).rejects.toMatchObject(error);
    expect(await store.get('a')).toBe(1);
  });

  it('is asked for what it left out of a batch', async () => {
    let batches = 0;
    const store = on.open({
      client: meddledClient(on.server, async ({ command, send }) => {
        const reply = (await send()) as { output: Record<string, Record<string, unknown>> };
        if (command !== 'BatchGetItemCommand') return reply;
        const items = (reply.output.Responses?.[on.table] ?? []) as Attributes[];
        batches++;
        const left = items.splice(2).map(({ p, k }) => ({ p, k }));
        if (left.length > 0) reply.output.UnprocessedKeys = { [on.table]: { Keys: left } };
        return reply;
      }),
    });
    const pairs = Array.from({ length: 9 }, (_, n) => [`k${n}`, n] as const);
    await store.setMany(pairs);
    batches = 0;
    expect(await store.getMany(pairs.map(([key]) => key))).toEqual(new Map(pairs));
    expect(batches).toBe(5);
  });

  it('is given up when it gives nothing of a batch, again and again', async () => {
    const store = on.open();
    await store.setMany([
      ['a', 1],
      ['b', 2],
    ]);
    const stubborn = on.open({
      prefix: prefixOf(store),
      client: meddledClient(on.server, async ({ command, input, send }) => {
        const reply = (await send()) as { output: Record<string, unknown> };
        if (command !== 'BatchGetItemCommand') return reply;
        const nothing = { Responses: {}, UnprocessedKeys: input.RequestItems };
        return { ...reply, output: { ...reply.output, ...nothing } };
      }),
    });
    await expect(stubborn.getMany(['a', 'b'])).rejects.toMatchObject({ code: 'overloaded' });
  });
});
