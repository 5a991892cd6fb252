import { afterEach, describe, expect, it, vi } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Commit } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { BatchWrite } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type IndexedDbOptions, indexeddb } from './index.ts';

const stores: Store<unknown>[] = [];

function open<V = unknown>(name: string, options?: Omit<IndexedDbOptions<V>, 'name'>): Store<V> {
  const store = indexeddb<V>({ name, ...options });
  stores.push(store as Store<unknown>);
  return store;
}

const nameOf = (store: Store<number>): string => String(primitivesOf(store).shape.details?.name);
const fresh = (): string => `test-${crypto.randomUUID()}`;
const keyOf = (n: number): string => `k${String(n).padStart(6, '0')}`;

async function next<V>(steps: AsyncIterator<Commit<V>>): Promise<Commit<V>> {
  const { value, done } = await steps.next();
  if (done === true) throw new Error('the watch ended');
  return value;
}

afterEach(async () => {
  vi.restoreAllMocks();
  for (const store of stores.splice(0)) await store.close();
});

describe('groups', () => {
  it('puts commits that arrive together into few transactions, each with a revision of its own', async () => {
    const store = open<number>(fresh());
    await store.get('open');
    const committed = vi.spyOn(IDBTransaction.prototype, 'commit');
    const heads = await Promise.all(
      Array.from({ length: 500 }, (_, n) => store.set(keyOf(n % 50), n)),
    );
    expect(committed.mock.calls.length).toBeLessThan(5);
    expect(heads.map(({ rev }) => rev)).toEqual(Array.from({ length: 500 }, (_, n) => n + 1));
    expect(await store.get(keyOf(49))).toBe(499);
  });

  it('judges every commit of a group by what the ones before it left', async () => {
    const store = open<number>(fresh());
    await store.set('gone', 0);
    const results = await Promise.allSettled([
      store.set('a', 1, { if: 'absent' }),
      store.set('a', 2, { if: 'absent' }),
      store.delete('gone'),
      store.set('gone', 3, { if: 'absent' }),
      store.set('made', 4),
      store.delete('made'),
      store.delete('made'),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      ...Array(5).fill('fulfilled'),
    ]);
    expect(results[1]).toMatchObject({ reason: { code: 'conflict', key: 'a' } });
    expect(results.slice(5)).toMatchObject([{ value: true }, { value: false }]);
    expect(await store.getMany(['a', 'gone', 'made'])).toEqual(
      new Map([
        ['a', 1],
        ['gone', 3],
      ]),
    );
  });

  it('tells readers of the index of a key that a group made and removed', async () => {
    const name = fresh();
    const store = open<number>(name);
    await store.set('first', 1);
    const after = await store.cursor();
    await Promise.all([store.set('made', 1), store.delete('made')]);
    // Another connection has no log of it.
    const steps = open<number>(name).watch({ after })[Symbol.asyncIterator]();
    expect((await next(steps)).writes).toEqual([{ type: 'delete', key: 'made', rev: 3 }]);
    await steps.return?.();
  });

  it('answers also a caller that gave up while its turn had come', async () => {
    const store = open<number>(fresh());
    await store.get('open');
    const call = Call.background(systemEnv, 'set');
    const outcome = Promise.resolve(
      primitivesOf(store).commit([{ type: 'set', key: 'a', value: 1 }], call),
    );
    const failure = outcome.catch((error: unknown) => error);
    await Promise.resolve();
    await Promise.resolve();
    call.end('timeout');
    expect(await failure).toMatchObject({ code: 'timeout' });
    expect(await store.has('a')).toBe(false);
  });

  it('drops a commit whose caller gave up before its turn', async () => {
    const store = open<number>(fresh());
    await store.get('open');
    const controller = new AbortController();
    const first = store.set('a', 1);
    // The first is on its way by now, the second waits behind it.
    await Promise.resolve();
    await Promise.resolve();
    const second = store.set('a', 2, { signal: controller.signal });
    controller.abort();
    await expect(second).rejects.toMatchObject({ code: 'aborted' });
    await first;
    await store.set('b', 3);
    expect(await store.get('a')).toBe(1);
    expect(await store.cursor()).toMatch(/\.2\./);
  });
});

describe('many keys', () => {
  it('writes, overwrites and reads batches with keys that partly exist', async () => {
    const store = open<number>(fresh());
    const some = (from: number, to: number, step: number): number[] =>
      Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
    const first = await store.setMany(some(0, 3_000, 3).map((n) => [keyOf(n), n]));
    expect(first.results.some(({ existed }) => existed)).toBe(false);
    const known = new Set(some(0, 3_000, 3));
    // Dense, half known, sparse among others, and none known.
    for (const numbers of [
      some(0, 900, 1),
      some(600, 1_200, 3),
      some(0, 3_000, 30),
      some(5_000, 5_400, 1),
    ]) {
      const there = numbers.filter((n) => known.has(n)).map(keyOf);
      for (const n of numbers) known.add(n);
      expect([...(await store.hasMany(numbers.map(keyOf)))]).toEqual(there);
      const { results } = await store.setMany(numbers.map((n) => [keyOf(n), n]));
      expect(results.filter(({ existed }) => existed).map(({ key }) => key)).toEqual(there);
    }
    const keys = some(0, 6_000, 1).map(keyOf);
    const found = await store.getMany(keys);
    const listed = await Array.fromAsync(store.list());
    expect([...found]).toEqual(listed.map(({ key, value }) => [key, value]));
    expect(found.size).toBe(900 + 700 + 400);
    for (const [key, value] of found) expect(key).toBe(keyOf(value));
  });

  it('agrees with a map on large batches of sets and deletes', async () => {
    const store = open<number>(fresh());
    const model = new Map<string, number>();
    const env = simulatedEnv(7);
    for (let round = 0; round < 12; round++) {
      const start = Math.floor(env.random() * 500);
      const step = 1 + Math.floor(env.random() * 3);
      const writes = Array.from({ length: 150 }, (_, n): BatchWrite<number> => {
        const key = keyOf(start + n * step);
        return env.random() < 0.4 + (round % 2) * 0.4
          ? { type: 'delete', key }
          : { type: 'set', key, value: round };
      });
      const { results } = await store.batch(writes);
      writes.forEach((write, at) => {
        expect(results[at]?.existed).toBe(model.has(write.key));
        if (write.type === 'set') model.set(write.key, write.value);
        else model.delete(write.key);
      });
      const listed = await Array.fromAsync(store.list());
      expect(listed.map(({ key, value }) => [key, value])).toEqual(
        [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
      );
    }
  });

  it('deletes keys that stand together at once, and spares new ones between them', async () => {
    const store = open<number>(fresh());
    const even = Array.from({ length: 100 }, (_, n) => keyOf(n * 2));
    await store.setMany(even.map((key, n) => [key, n]));
    const asked = vi.spyOn(IDBObjectStore.prototype, 'delete');
    const after = await store.cursor();
    await store.batch([
      ...even.slice(0, 30).map((key) => ({ type: 'delete', key }) as const),
      { type: 'set', key: keyOf(11), value: -1 },
      ...even.slice(40).map((key) => ({ type: 'delete', key }) as const),
    ]);
    expect(asked).toHaveBeenCalledTimes(2);
    expect(await Array.fromAsync(store.keys())).toEqual([keyOf(11), ...even.slice(30, 40)]);
    const steps = open<number>(nameOf(store)).watch({ after })[Symbol.asyncIterator]();
    expect((await next(steps)).writes).toHaveLength(91);
    await steps.return?.();
  });

  it('lists the same with and without the newer way to read backwards', async () => {
    const store = open<number>(fresh());
    await store.setMany(Array.from({ length: 300 }, (_, n) => [keyOf(n), n]));
    const range = { reverse: true, gt: keyOf(10), limit: 250 } as const;
    const listed = await Array.fromAsync(store.list(range));
    expect(listed.map(({ value }) => value)).toEqual(
      Array.from({ length: 250 }, (_, n) => 299 - n),
    );
    const newer = Object.getOwnPropertyDescriptor(IDBObjectStore.prototype, 'getAllRecords');
    if (newer === undefined) throw new Error('this browser has only one way');
    try {
      Reflect.deleteProperty(IDBObjectStore.prototype, 'getAllRecords');
      expect(await Array.fromAsync(store.list(range))).toEqual(listed);
      const keys = await Array.fromAsync(store.keys(range));
      expect(keys).toEqual(listed.map(({ key }) => key));
    } finally {
      Object.defineProperty(IDBObjectStore.prototype, 'getAllRecords', newer);
    }
  });

  it('gives large values in small pages', async () => {
    const store = open<Uint8Array>(fresh());
    await store.setMany(Array.from({ length: 30 }, (_, n) => [keyOf(n), new Uint8Array(300_000)]));
    const read = vi.spyOn(IDBObjectStore.prototype, 'getAll');
    const lengths = (await Array.fromAsync(store.list())).map(({ value }) => value.length);
    expect(lengths).toEqual(Array(30).fill(300_000));
    expect(read.mock.calls.at(-1)?.[1]).toBe(3);
  });
});
