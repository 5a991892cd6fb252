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

/** Every transaction that is opened, as `mode durability`. */
function watchTransactions(): string[] {
  const seen: string[] = [];
  const { transaction } = IDBDatabase.prototype;
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (
    this: IDBDatabase,
    ...args
  ) {
    const tx = transaction.apply(this, args);
    seen.push(`${tx.mode} ${tx.durability}`);
    return tx;
  });
  return seen;
}

afterEach(async () => {
  vi.restoreAllMocks();
  for (const store of stores.splice(0)) await store.close();
});

describe('values', () => {
  const samples: Record<string, unknown> = {
    'a map of dates': new Map([['a', new Date(5)]]),
    'a set': new Set([1, 'two', null]),
    'a big integer': 2n ** 80n,
    'a typed array': new Float64Array([1.5, Number.NaN]),
    'a regular expression': /a+/giu,
    'a sparse array': [1, undefined, 3],
    'an error': new RangeError('no'),
    null: null,
    'an object with undefined': { a: undefined },
  };
  it.each(Object.entries(samples))('keeps %s', async (_, value) => {
    const name = fresh();
    await open(name).set('a', value);
    const again = open(name);
    expect(await again.get('a')).toEqual(value);
    expect((await again.getEntry('a'))?.value).toEqual(value);
  });

  it('keeps cycles and blobs', async () => {
    const store = open<{ self?: unknown; blob: Blob }>(fresh());
    const value: { self?: unknown; blob: Blob } = { blob: new Blob(['text']) };
    value.self = value;
    await store.set('a', value);
    const found = await store.get('a');
    expect(found?.self).toBe(found);
    expect(await found?.blob.text()).toBe('text');
  });

  it('refuses what cannot be cloned, naming the key, with nothing applied', async () => {
    const store = open(fresh());
    const refused = store.batch([
      { type: 'set', key: 'a', value: 1 },
      { type: 'set', key: 'b', value: { fn: () => 1 } },
    ]);
    await expect(refused).rejects.toMatchObject({ code: 'invalid-argument', key: 'b' });
    expect(await store.has('a')).toBe(false);
    expect(await store.cursor()).toMatch(/\.0\.$/);
  });

  it('refuses what can be cloned but not stored, without harm to the commits beside it', async () => {
    const store = open(fresh());
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer;
    const [before, refused, after] = await Promise.allSettled([
      store.set('before', 1),
      store.set('refused', shared),
      store.set('after', 2),
    ]);
    expect(refused).toMatchObject({ reason: { code: 'invalid-argument', key: 'refused' } });
    expect(before.status).toBe('fulfilled');
    expect(after.status).toBe('fulfilled');
    expect([...(await store.getMany(['before', 'refused', 'after'])).keys()]).toEqual([
      'before',
      'after',
    ]);
  });

  it('stores the value as it was at the call', async () => {
    const store = open<{ n: number }>(fresh());
    const value = { n: 1 };
    const written = store.set('a', value);
    value.n = 2;
    await written;
    expect(await store.get('a')).toEqual({ n: 1 });
  });
});

describe('groups', () => {
  it('puts commits that arrive together into few transactions, each with a revision of its own', async () => {
    const store = open<number>(fresh());
    await store.get('open');
    const seen = watchTransactions();
    const heads = await Promise.all(
      Array.from({ length: 500 }, (_, n) => store.set(keyOf(n % 50), n)),
    );
    expect(seen.filter((tx) => tx.startsWith('readwrite')).length).toBeLessThan(5);
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

describe('the feed', () => {
  it('shows commits of this connection one by one, those of another as they stand', async () => {
    const name = fresh();
    const store = open<number>(name);
    const after = await store.cursor();
    await store.set('a', 1);
    await store.set('a', 2);
    const own = store.watch({ after })[Symbol.asyncIterator]();
    expect([(await next(own)).to, (await next(own)).to]).toEqual([1, 2]);
    const others = open<number>(name).watch({ after })[Symbol.asyncIterator]();
    expect(await next(others)).toMatchObject({ from: 0, to: 2, writes: [{ key: 'a', value: 2 }] });
    await own.return?.();
    await others.return?.();
  });

  it('keeps what it shows apart from what it shows to others', async () => {
    const store = open<{ n: number }>(fresh());
    const start = await store.cursor();
    await store.set('a', { n: 1 });
    const middle = await store.cursor();
    await store.set('a', { n: 1 });
    for (const after of [start, start, middle, middle]) {
      const steps = store.watch({ after })[Symbol.asyncIterator]();
      const [change] = (await next(steps)).writes;
      if (change?.type !== 'set') throw new Error('no set');
      expect(change.value).toEqual({ n: 1 });
      change.value.n = 2;
      await steps.return?.();
    }
  });

  it('merges values and deletes of many pages in the order of their commits', async () => {
    const name = fresh();
    const store = open<number>(name, { logBytes: 0 });
    await store.setMany(Array.from({ length: 1_000 }, (_, n) => [keyOf(n), n]));
    const after = await store.cursor();
    for (let part = 0; part < 10; part++) {
      const keys = Array.from({ length: 50 }, (_, n) => keyOf(part * 100 + n));
      await store.deleteMany(keys);
      await store.setMany(keys.map((key) => [`new-${key}`, part]));
    }
    const steps = store.watch({ after })[Symbol.asyncIterator]();
    const { from, to, writes } = await next(steps);
    expect([from, to, writes.length]).toEqual([1, 21, 1_000]);
    const revs = writes.map(({ rev }) => rev ?? 0);
    expect(revs).toEqual([...revs].sort((a, b) => a - b));
    expect(writes.filter(({ type }) => type === 'delete').length).toBe(500);
    await steps.return?.();
  });
});

describe('durability', () => {
  it('is strict by default: acknowledged when on disk', async () => {
    const store = open(fresh());
    expect(store.capabilities.durability).toBe('disk');
    await store.get('open');
    const seen = watchTransactions();
    await store.set('a', 1);
    await store.deleteMany(['a']);
    expect(seen).toEqual(['readwrite strict', 'readwrite strict']);
  });

  it('is that of the operating system where the browser knows no better', () => {
    const known = Object.getOwnPropertyDescriptor(IDBTransaction.prototype, 'durability');
    if (known === undefined) throw new Error('this browser has only one kind');
    try {
      Reflect.deleteProperty(IDBTransaction.prototype, 'durability');
      expect(open(fresh()).capabilities.durability).toBe('os');
    } finally {
      Object.defineProperty(IDBTransaction.prototype, 'durability', known);
    }
  });

  it('relaxed: strict at the first commit after a quiet time, and once more when it is quiet again', async () => {
    const store = open(fresh(), { durability: 'relaxed' });
    expect(store.capabilities.durability).toBe('os');
    await store.get('open');
    const seen = watchTransactions();
    for (let n = 0; n < 3; n++) await store.set('a', n);
    expect(seen).toEqual(['readwrite strict', 'readwrite relaxed', 'readwrite relaxed']);
    await vi.waitFor(() => expect(seen).toHaveLength(4));
    expect(seen[3]).toBe('readwrite strict');
    await store.set('a', 4);
    expect(seen[4]).toBe('readwrite strict');
  });
});

it('sets the mark of relaxed commits again when another tab took it off', async () => {
  const name = fresh();
  // Its time stands still: it never finds that it is quiet.
  const store = open<number>(name, { durability: 'relaxed', env: simulatedEnv() });
  await store.set('a', 1);
  const other = open<number>(name, { durability: 'relaxed' });
  await other.set('a', 2);
  await other.close();
  const seen = watchTransactions();
  await store.set('a', 3);
  await store.set('a', 4);
  expect(seen).toEqual(['readwrite relaxed', 'readwrite strict', 'readwrite relaxed']);
});

it('refuses options that are none', () => {
  const refused = (options: object): unknown => {
    try {
      return indexeddb(options as IndexedDbOptions);
    } catch (error) {
      return error;
    }
  };
  for (const options of [{}, { name: '' }, { name: 'a', durabilty: 'strict' }, { name: 5 }])
    expect(refused(options)).toMatchObject({ code: 'invalid-argument' });
  expect(refused({ name: 'a', durability: 'disk' })).toMatchObject({ code: 'invalid-argument' });
});
