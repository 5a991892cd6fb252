/** Memory stores within bounds. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { Call } from '../../store/call.ts';
import { describeStore } from '../../store/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { type LruLimits, lru } from '../lru/index.ts';
import { type MemoryOptions, memory } from './index.ts';

const env = simulatedEnv();
const roomy = lru({ maxEntries: 100_000, maxBytes: 2 ** 30 });
const factory = {
  env,
  create: () => memory({ env, evict: roomy }),
  required: requiredCapabilities.memory,
};

conformance({ name: 'memory with room', test: { describe, it }, factory });
modelTest({ fc, name: 'memory with room', test: { describe, it }, factory, runs: 60 });

function bounded(limits: LruLimits, options: MemoryOptions = {}) {
  const env = simulatedEnv();
  const store = memory<unknown>({ env, evict: lru(limits), ...options });
  const keys = (): string[] => [...store.blocking.keys()];
  return { env, store, keys };
}

describe('the bounds', () => {
  it('are refused where they make no sense', () => {
    const wrong: unknown[] = [{}, undefined, null, 5, { maxEntries: 0 }, { maxEntries: 1.5 }];
    wrong.push({ maxBytes: 4_095 }, { maxBytes: Number.POSITIVE_INFINITY }, { maxBytes: '1' });
    wrong.push({ maxEntries: -1 }, { maxKeys: 5 }, { maxBytes: 2 ** 60 });
    for (const limits of wrong)
      expect(() => lru(limits as LruLimits)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
    for (const evict of [5, {}, null, lru])
      expect(() => memory({ evict: evict as never })).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
  });

  it('are shown, and that the store evicts', () => {
    const { store } = bounded({ maxEntries: 5, maxBytes: 10_000 });
    expect(store.capabilities.evicts).toBe(true);
    expect(describeStore(store).details).toEqual({ evict: 'lru', maxEntries: 5, maxBytes: 10_000 });
    expect(memory().capabilities.evicts).toBeUndefined();
  });

  it('hold for each store by itself', async () => {
    const evict = lru({ maxEntries: 2 });
    const [a, b] = [memory({ evict }), memory({ evict })];
    for (const store of [a, b]) for (const key of ['1', '2']) store.blocking.set(key, 1);
    for (const store of [a, b]) expect([...store.blocking.keys()]).toEqual(['1', '2']);
  });
});

describe('what is evicted', () => {
  it('is what was not used for longest, and is simply absent', async () => {
    const { store, keys } = bounded({ maxEntries: 3 });
    for (const key of ['a', 'b', 'c']) await store.set(key, key);
    expect(await store.get('a')).toBe('a');
    await store.set('d', 'd');
    expect(keys()).toEqual(['a', 'c', 'd']);
    expect(await store.get('b')).toBeUndefined();
    expect(await store.has('b')).toBe(false);
    expect(await store.delete('b')).toBe(false);
    const { version } = await store.set('b', 1, { if: 'absent' });
    expect(keys()).toEqual(['a', 'b', 'd']);
    await store.setMany(['x', 'y', 'z'].map((key) => [key, key]));
    expect(await store.set('b', 2, { if: { version } }).catch(({ code }) => code)).toBe('conflict');
  });

  const uses: Record<string, (store: ReturnType<typeof bounded>['store']) => unknown> = {
    get: (store) => store.get('a'),
    'get with options': (store) => store.get('a', { timeoutMs: 100 }),
    getEntry: (store) => store.getEntry('a'),
    getMany: (store) => store.getMany(['a']),
    has: (store) => store.has('a'),
    set: (store) => store.set('a', 2),
    update: (store) => store.update('a', () => 2),
    'blocking get': (store) => store.blocking.get('a'),
    'blocking getEntry': (store) => store.blocking.getEntry('a'),
  };
  for (const [name, use] of Object.entries(uses))
    it(`is not what ${name} has just used`, async () => {
      const { store, keys } = bounded({ maxEntries: 2 });
      await store.set('a', 1);
      await store.set('b', 1);
      await use(store);
      await store.set('c', 1);
      expect(keys()).toEqual(['a', 'c']);
    });

  it('does not depend on listing', async () => {
    const { store, keys } = bounded({ maxEntries: 2 });
    await store.set('b', 1);
    await store.set('a', 1);
    await Array.fromAsync(store.list({ prefix: 'b' }));
    await store.set('c', 1);
    expect(keys()).toEqual(['a', 'c']);
  });

  it('is deleted by a commit of its own, which followers see', async () => {
    const { store } = bounded({ maxEntries: 1 });
    await store.set('a', 1);
    const commits = store.watch()[Symbol.asyncIterator]();
    const first = commits.next();
    const { rev } = await store.set('b', 1);
    expect((await first).value.writes).toMatchObject([
      { type: 'set', key: 'b', rev },
      { type: 'delete', key: 'a', rev: (rev as number) + 1 },
    ]);
    await commits.return?.();
  });

  it('is a whole batch but for what fits', async () => {
    const { store, keys } = bounded({ maxEntries: 2 });
    const { results } = await store.setMany(['a', 'b', 'c', 'd'].map((key) => [key, 1]));
    expect(results).toHaveLength(4);
    expect(keys()).toEqual(['c', 'd']);
    // Written, and in the same batch written again as the newest.
    await store.batch(['x', 'y', 'x'].map((key) => ({ type: 'set', key, value: 1 })));
    expect(keys()).toEqual(['x', 'y']);
  });

  it('is a value that alone is too large, and nothing else', async () => {
    const { store, keys } = bounded({ maxBytes: 10_000 });
    await store.set('a', 1);
    await store.set('b', 1);
    expect(await store.set('large', 'x'.repeat(6_000))).toMatchObject({ key: 'large' });
    expect(keys()).toEqual(['a', 'b']);
    await store.set('a', 'x'.repeat(6_000));
    expect(keys()).toEqual(['b']);
    await store.set('described', 1, { meta: { text: 'x'.repeat(6_000) } });
    expect(keys()).toEqual(['b']);
  });

  it('may be immutable', async () => {
    const { store, keys } = bounded({ maxEntries: 1 });
    await store.set('a', 1, { immutable: true });
    await store.set('b', 1, { immutable: true });
    expect(keys()).toEqual(['b']);
    await store.set('a', 2, { immutable: true });
    expect(await store.get('a')).toBe(2);
  });

  it('is never what belongs to StrataKV', async () => {
    const { store } = bounded({ maxEntries: 1 });
    const primitives = primitivesOf(store);
    const call = Call.background(env, 'test');
    const reserved = ['\u0000a', '\u0000b', '\u0000c'];
    for (const key of reserved) await primitives.commit([{ type: 'set', key, value: 1 }], call);
    await store.set('a', 1);
    await store.set('b', 1);
    for (const key of reserved) expect(await primitives.readOne(key, call)).toBeDefined();
    expect(await primitives.readOne('a', call)).toBeUndefined();
  });

  it('is told to who follows from before, as one commit', async () => {
    const { store } = bounded({ maxEntries: 2 });
    await store.setMany([
      ['a', 1],
      ['b', 1],
    ]);
    const cursor = await store.cursor();
    for (let i = 0; i < 10; i++) await store.set(`k${i}`, i);
    const commits = store.watch({ after: cursor })[Symbol.asyncIterator]();
    const { writes } = (await commits.next()).value;
    const kept = writes.filter(({ type }: { type: string }) => type === 'set');
    expect(kept).toMatchObject([{ key: 'k8' }, { key: 'k9' }]);
    expect(writes).toContainEqual(expect.objectContaining({ type: 'delete', key: 'a' }));
    await commits.return?.();
  });
});

describe('expiry', () => {
  it('makes room when the expired are swept', async () => {
    const { env, store, keys } = bounded({ maxEntries: 3 });
    await store.set('keep', 1);
    await store.set('brief', 1, { ttlMs: 10 });
    await store.set('brief too', 1, { ttlMs: 10 });
    await env.advance(60_000);
    await store.set('a', 1);
    await store.set('b', 1);
    expect(keys()).toEqual(['a', 'b', 'keep']);
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('of what is evicted before the sweep leaves the bound in force', async () => {
    const { env, store, keys } = bounded({ maxEntries: 2 });
    const cursor = await store.cursor();
    await store.set('brief', 1, { ttlMs: 10 });
    await store.set('a', 1);
    env.advanceSync(20);
    await store.set('b', 1);
    await store.set('c', 1);
    expect(keys()).toEqual(['b', 'c']);
    expect(await store.get('brief')).toBeUndefined();
    await store.set('brief', 2);
    expect(keys()).toEqual(['brief', 'c']);
    await env.advance(60_000);
    expect(keys()).toEqual(['brief', 'c']);
    const commits = store.watch({ after: cursor })[Symbol.asyncIterator]();
    const { writes } = (await commits.next()).value;
    expect(
      new Set(writes.map(({ type, key }: { type: string; key: string }) => `${type} ${key}`)),
    ).toEqual(new Set(['set brief', 'set c', 'delete a', 'delete b']));
    await commits.return?.();
  });
});

describe('evicting only what is cached', () => {
  it('keeps everything else, what was there before included', async () => {
    const { store, keys } = bounded({ maxEntries: 1 });
    const primitives = primitivesOf(store);
    const call = Call.background(env, 'test');
    await store.set('before', 1);
    primitives.evictOnlyCached?.();
    const cache = (key: string): unknown =>
      primitives.commit([{ type: 'set', key, value: 1, cached: true }], call);
    await store.set('own', 1);
    await cache('copy 1');
    await cache('copy 2');
    await cache('copy 3');
    expect(keys()).toEqual(['before', 'copy 3', 'own']);
    await store.set('copy 3', 'own now');
    await cache('copy 4');
    await cache('copy 5');
    expect(keys()).toEqual(['before', 'copy 3', 'copy 5', 'own']);
  });
});

/** The keys in the order of their last use, newest last, as a list. */
class Model {
  #keys: string[] = [];
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get keys(): string[] {
    return [...this.#keys].sort();
  }

  has(key: string): boolean {
    return this.#keys.includes(key);
  }

  use(key: string): void {
    if (!this.has(key)) return;
    this.delete(key);
    this.#keys.push(key);
  }

  write(keys: readonly string[]): void {
    for (const key of keys) {
      this.delete(key);
      this.#keys.push(key);
    }
    this.#keys = this.#keys.slice(-this.#maxEntries);
  }

  delete(key: string): void {
    this.#keys = this.#keys.filter((other) => other !== key);
  }
}

const key = fc.integer({ min: 0, max: 12 }).map((n) => `k${n}`);

describe('whatever happens', () => {
  it('the order of eviction is that of the last uses', async () => {
    const step = fc.oneof(
      fc.record({
        type: fc.constant('set' as const),
        keys: fc.array(key, { minLength: 1, maxLength: 6 }),
      }),
      fc.record({
        type: fc.constant('get' as const),
        keys: fc.array(key, { minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        type: fc.constant('delete' as const),
        keys: fc.array(key, { minLength: 1, maxLength: 2 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 60 }),
        async (maxEntries, steps) => {
          const { store, keys } = bounded({ maxEntries });
          const model = new Model(maxEntries);
          for (const { type, keys: some } of steps) {
            if (type === 'set') {
              store.blocking.setMany(some.map((each) => [each, each]));
              model.write(some);
            } else if (type === 'delete') {
              store.blocking.deleteMany(some);
              for (const each of some) model.delete(each);
            } else
              for (const each of some) {
                expect(store.blocking.get(each)).toBe(model.has(each) ? each : undefined);
                model.use(each);
              }
            expect(keys()).toEqual(model.keys);
          }
          await store.close();
        },
      ),
      { numRuns: 300 },
    );
  });

  it('the bound of bytes holds, and what is read is what was written last', async () => {
    const step = fc.record({
      key,
      length: fc.integer({ min: 0, max: 3_000 }),
      ttlMs: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined, freq: 4 }),
      passMs: fc.constantFrom(0, 0, 5, 40_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const { env, store } = bounded({ maxBytes: 8_000 });
        const last = new Map<string, string>();
        for (const [at, { key: one, length, ttlMs, passMs }] of steps.entries()) {
          const value = `${at}`.padEnd(length);
          store.blocking.set(one, value, { ...(ttlMs && { ttlMs }) });
          last.set(one, value);
          env.advanceSync(passMs);
          let bytes = 0;
          for (const entry of store.blocking.list()) {
            expect(entry.value).toBe(last.get(entry.key));
            bytes += 2 * (entry.value as string).length + 2 * entry.key.length + 400;
          }
          expect(bytes).toBeLessThanOrEqual(8_000);
        }
        await store.close();
        expect(env.pendingTimers).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
