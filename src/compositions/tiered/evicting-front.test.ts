/** Tiered stores over a front that holds next to nothing and gives up the rest. */
import '../../../test/support/behind-loaded.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { lateStore } from '../../../test/support/late-store.ts';
import { lru } from '../../drivers/lru/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { prefixed } from '../../layers/prefixed.ts';
import { Call } from '../../store/call.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { type TieredOptions, tiered } from './index.ts';

const env = simulatedEnv();
const tiny = lru({ maxEntries: 1 });
const evicting = () => memory<unknown>({ env, evict: tiny });
const back = () => memory<unknown>({ env });
const { blocking: _, ...unblocking } = requiredCapabilities.memory;

const kinds: Record<string, () => Store<unknown>> = {
  'an evicting front': () => tiered({ front: evicting(), back: back() }),
  'an evicting front, late': () =>
    tiered({ front: lateStore(evicting()), back: lateStore(back()) }),
  'an evicting front, written around': () =>
    tiered({ front: evicting(), back: back(), write: 'around' }),
  'an evicting front, written to': () =>
    tiered({ front: evicting(), back: back(), write: 'front-only' }),
  'an evicting front, written to, late': () =>
    tiered({ front: lateStore(evicting()), back: lateStore(back()), write: 'front-only' }),
  'an evicting front, written to and read alone': () =>
    tiered({ front: evicting(), back: back(), write: 'front-only', read: 'front-only' }),
  'an evicting front in a front': () =>
    tiered({ front: tiered({ front: evicting(), back: back() }), back: back() }),
  'an evicting front of few bytes': () =>
    tiered({ front: memory({ env, evict: lru({ maxBytes: 4_096 }) }), back: back() }),
};

for (const [name, create] of Object.entries(kinds)) {
  const required = name.endsWith('late') ? unblocking : requiredCapabilities.memory;
  const factory = { env, create, required };
  conformance({ name, test: { describe, it }, factory });
  modelTest({ fc, name, test: { describe, it }, factory, runs: 60 });
}

function world(options: Partial<TieredOptions<unknown>> = {}, maxEntries = 2) {
  const inFront = memory<unknown>({ env, evict: lru({ maxEntries }) });
  const inBack = memory<unknown>({ env });
  const store = tiered({ front: inFront, back: inBack, ...options });
  return { inFront, inBack, store };
}

describe('an overlay over an evicting front', () => {
  it('gives up copies, and no own write or delete', async () => {
    const { inFront, inBack, store } = world({ write: 'front-only' });
    for (let i = 0; i < 10; i++) await inBack.set(`back ${i}`, i);
    for (let i = 0; i < 5; i++) await store.set(`own ${i}`, i);
    for (let i = 0; i < 5; i++) await store.delete(`back ${i}`);
    for (let i = 0; i < 10; i++) expect(await store.get(`back ${i}`)).toBe(i < 5 ? undefined : i);
    for (let i = 0; i < 5; i++) expect(await store.get(`own ${i}`)).toBe(i);
    expect(await store.getMany(['own 0', 'back 0', 'back 9'])).toEqual(
      new Map([
        ['own 0', 0],
        ['back 9', 9],
      ]),
    );
    const copies = [...inFront.blocking.keys({ prefix: 'back' })];
    expect(copies).toEqual(['back 8', 'back 9']);
    // A copy that was changed is an own write from then on.
    await store.update('back 9', () => 'own now');
    for (let i = 5; i < 9; i++) await store.get(`back ${i}`);
    expect(await store.get('back 9')).toBe('own now');
  });

  it('keeps a replica of another store that was written to it', async () => {
    const { store } = world({ write: 'front-only' }, 1);
    const origin = { store: 'elsewhere', epoch: 'e', rev: 1, version: 'v' };
    const call = Call.background(env, 'test');
    for (const key of ['a', 'b', 'c'])
      await primitivesOf(store).commit([{ type: 'set', key, value: key, origin }], call);
    for (const key of ['a', 'b', 'c']) expect(await store.get(key)).toBe(key);
  });

  it('keeps what the front held before', async () => {
    const front = memory<unknown>({ env, evict: lru({ maxEntries: 2 }) });
    await front.set('before', 1);
    const inBack = memory<unknown>({ env });
    const store = tiered({ front, back: inBack, write: 'front-only' });
    for (let i = 0; i < 10; i++) await inBack.set(`${i}`, i);
    for (let i = 0; i < 10; i++) expect(await store.get(`${i}`)).toBe(i);
    expect(await store.get('before')).toBe(1);
  });

  it('is refused where a layer hides which entries are copies', () => {
    const front = prefixed(evicting(), 'p:');
    expect(() => tiered({ front, back: back(), write: 'front-only' })).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
    expect(() => tiered({ front, back: back() })).not.toThrow();
  });
});

describe('what a tiered store says of eviction', () => {
  it('is that of what it reads last', () => {
    const evicts = (options: Partial<TieredOptions<unknown>>): unknown =>
      world(options).store.capabilities.evicts;
    expect(evicts({})).toBeUndefined();
    expect(evicts({ write: 'front-only' })).toBeUndefined();
    expect(evicts({ read: 'front-only' })).toBe(true);
    expect(evicts({ read: 'front-only', write: 'front-only' })).toBe(true);
    expect(tiered({ front: back(), back: evicting() }).capabilities.evicts).toBe(true);
  });

  it('refuses to keep a journal in it', () => {
    expect(() => world({ write: 'behind', journal: 'front' })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/invalid-argument|unsupported/) }),
    );
  });
});

it('never gives an older value than the last written, whatever is evicted', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.record({ kind: fc.constantFrom('get', 'set', 'delete', 'getMany'), key });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 25 }), async (s, steps) => {
      const wait = (what: string): Promise<unknown> => s.schedule(Promise.resolve(), what);
      const inFront = memory<unknown>({ env, evict: lru({ maxEntries: 2 }) });
      const inBack = memory<unknown>({ env });
      const store = tiered({
        front: lateStore(inFront, wait, { name: 'front' }),
        back: lateStore(inBack, wait, { name: 'back' }),
      });
      let count = 0;
      const running = steps.map(({ kind, key }) => {
        if (kind === 'set') return store.set(key, ++count);
        if (kind === 'delete') return store.delete(key);
        return kind === 'get' ? store.get(key) : store.getMany(['a', 'b', 'c', 'd']);
      });
      await s.waitIdle();
      await Promise.all(running);
      for (const key of ['a', 'b', 'c', 'd']) {
        const reading = store.get(key);
        await s.waitIdle();
        expect(await reading).toBe(await inBack.get(key));
      }
      expect([...inFront.blocking.keys()].length).toBeLessThanOrEqual(2);
    }),
    { numRuns: 200, interruptAfterTimeLimit: 15_000 },
  );
});
