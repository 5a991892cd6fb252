import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Commit } from '../../store/entry.ts';
import type { Store } from '../../store/store.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type IndexedDbOptions, indexeddb } from './index.ts';

const stores: Store<unknown>[] = [];

function open<V = unknown>(name: string, options?: Omit<IndexedDbOptions<V>, 'name'>): Store<V> {
  const store = indexeddb<V>({ name, ...options });
  stores.push(store as Store<unknown>);
  return store;
}

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
    const store = open(fresh(), { durability: 'os' });
    expect(store.capabilities.durability).toBe('os');
    await store.get('open');
    const seen = watchTransactions();
    for (let n = 0; n < 3; n++) await store.set('a', n);
    expect(seen).toEqual(['readwrite strict', 'readwrite relaxed', 'readwrite relaxed']);
    await expect.poll(() => seen).toHaveLength(4);
    expect(seen[3]).toBe('readwrite strict');
    await store.set('a', 4);
    expect(seen[4]).toBe('readwrite strict');
  });
});

it('sets the mark of relaxed commits again when another tab took it off', async () => {
  const name = fresh();
  // Its time stands still: it never finds that it is quiet.
  const store = open<number>(name, { durability: 'os', env: simulatedEnv() });
  await store.set('a', 1);
  const other = open<number>(name, { durability: 'os' });
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
  for (const options of [{}, { name: '' }, { name: 'a', durabilty: 'disk' }, { name: 5 }])
    expect(refused(options)).toMatchObject({ code: 'invalid-argument' });
  expect(refused({ name: 'a', durability: 'relaxed' })).toMatchObject({ code: 'invalid-argument' });
});
