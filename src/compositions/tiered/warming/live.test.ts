/** Warming beside the reads and writes of an open tiered store. */
import '../../../../test/support/behind-loaded.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../../test/support/late-store.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { counts, keysOf, NOTHING, warmWorld } from '../../../../test/support/warm-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { Call } from '../../../store/call.ts';
import type { StrataError } from '../../../store/errors.ts';
import { primitivesOf } from '../../../store/internals.ts';
import type { Store } from '../../../store/store.ts';
import { simulatedEnv } from '../../../testing/index.ts';
import { settled } from '../../../testing/settled.ts';
import { type TieredEvent, type TieredOptions, tiered } from '../index.ts';
import { copyKeys, warm } from './index.ts';
import type { WarmProgress } from './options.ts';

function world(options: Partial<TieredOptions<unknown>> = {}) {
  const parts = warmWorld();
  const { front, back } = parts;
  const events: TieredEvent[] = [];
  const onEvent = (event: TieredEvent): void => void events.push(event);
  const store = tiered({ front, back, onEvent, ...options });
  return { ...parts, store, events };
}

const pairs = (count: number, value?: string) =>
  Array.from({ length: count }, (_, i) => [`k${i}`, value ?? i] as [string, unknown]);

describe('warming a store at work', () => {
  it('fills the front as its reads would, in any form', async () => {
    const forms: Record<string, (w: ReturnType<typeof world>) => Promise<WarmProgress>> = {
      'store.warm()': ({ store }) => store.warm(),
      'warm(store)': ({ store }) => warm(store),
      'warm(front, back)': ({ front, back }) => warm(front, back),
      copyKeys: ({ front, back }) => copyKeys(back, front, ['k0', 'k1', 'k2']),
    };
    for (const form of Object.values(forms)) {
      const one = world();
      await one.inBack.setMany(pairs(3));
      expect(counts(await form(one))).toEqual({ ...NOTHING, copied: 3 });
      const reads = one.backPlan.calls('read');
      for (let i = 0; i < 3; i++)
        expect(await one.store.getEntry(`k${i}`)).toEqual(await one.inBack.getEntry(`k${i}`));
      expect(one.backPlan.calls('read')).toBe(reads);
    }
  });

  it('mirrors: refreshes what others changed in the back, removes what is gone', async () => {
    for (const options of [{}, { read: 'front-only' }, { write: 'around' }] as const) {
      const { inFront, inBack, store } = world(options);
      await inBack.setMany(pairs(4));
      await store.warm();
      await inBack.set('k0', 'new');
      await inBack.delete('k1');
      await inBack.set('more', 1);
      expect(await store.get('k0')).toBe(0);
      expect(counts(await store.warm())).toEqual({ ...NOTHING, copied: 1, skipped: 3 });
      expect(await store.get('k0')).toBe(0);
      const mirrored = await store.warm({ strategy: 'mirror' });
      expect(counts(mirrored)).toEqual({ copied: 1, skipped: 3, removed: 1, missing: 0 });
      expect(await keysOf(inFront)).toEqual(await keysOf(inBack));
      expect(await store.get('k0')).toBe('new');
      expect(await store.get('k1')).toBeUndefined();
    }
  });

  it('makes copies that are fresh for as long as those of reads', async () => {
    const { env, inBack, store, backPlan } = world({ ttlMs: 1_000, graceMs: 1_000 });
    await inBack.setMany(pairs(2));
    await store.warm();
    await env.advance(900);
    const reads = backPlan.calls('read');
    expect(await store.get('k0')).toBe(0);
    expect(backPlan.calls('read')).toBe(reads);
    await env.advance(200);
    // Kept for an outage, but no longer fresh.
    expect(counts(await store.warm({ strategy: 'mirror' }))).toEqual({ ...NOTHING, copied: 2 });
    await env.advance(900);
    const after = backPlan.calls('read');
    expect(await store.get('k0')).toBe(0);
    expect(backPlan.calls('read')).toBe(after);
  });

  it('is refused over another back, and free again when the store is closed', async () => {
    const { front, back, store, inFront, inBack } = world({ closeParts: false });
    const other = memory<unknown>();
    await other.set('k', 1);
    expect(await codeOf(warm(front, other))).toBe('invalid-argument');
    await store.close();
    expect(await codeOf(store.warm())).toBe('closed');
    expect((await warm(front, other)).copied).toBe(1);
    await inBack.set('k', 2);
    await warm(front, back, { strategy: 'mirror' });
    expect(await inFront.get('k')).toBe(2);
  });

  it('ends with the store, which waits for nothing else', async () => {
    const { inBack, backPlan, store } = world();
    await inBack.setMany(pairs(10));
    backPlan.hangNext('read');
    const warming = codeOf(store.warm());
    await settled();
    await store.close();
    expect(await warming).toBe('closed');
    backPlan.release();
  });

  it('tells of a front that takes no copies', async () => {
    const { inBack, frontPlan, store } = world();
    await inBack.setMany(pairs(3));
    frontPlan.failNext('commit', 'no-space', { times: 100 });
    const error = (await store.warm().catch((failed) => failed)) as StrataError;
    expect(error).toMatchObject({ code: 'unavailable', operation: 'warm' });
    expect(error.details?.progress).toMatchObject(NOTHING);
    frontPlan.heal();
    expect((await store.warm()).copied).toBe(3);
  });

  it('tells of a back that is away', async () => {
    const { env, inBack, backPlan, store } = world({ backTimeoutMs: 100 });
    await inBack.setMany(pairs(3));
    backPlan.hangNext('read', { times: 100 });
    const warming = codeOf(store.warm());
    await env.advance(100);
    expect(await warming).toBe('unavailable');
    backPlan.heal();
  });
});

describe('a write beside the warming', () => {
  const writes: Record<string, (store: Store<unknown>) => Promise<unknown>> = {
    'a set': (store) => store.set('k', 'new'),
    'a delete': (store) => store.delete('k'),
    'a set and a delete': async (store) => [await store.set('k', 'new'), await store.delete('k')],
  };
  for (const [name, write] of Object.entries(writes))
    for (const strategy of ['fill-missing', 'mirror'] as const)
      for (const after of [0, 1])
        it(`${name} is never undone: ${strategy}, at read ${after}`, async () => {
          const { inFront, inBack, backPlan, store } = world();
          await inBack.set('k', 'old');
          backPlan.hangNext('read', { applied: true, after });
          const warming = store.warm({ strategy });
          while (backPlan.hanging === 0) await settled();
          await write(store);
          backPlan.release();
          await warming;
          await settled();
          const truth = await inBack.getEntry('k');
          expect(await store.getEntry('k')).toEqual(truth);
          expect((await inFront.getEntry('k'))?.origin?.version).toBe(truth?.version);
        });

  it('in any order leaves both parts agreeing', async () => {
    const operation = fc.record({
      kind: fc.constantFrom('get', 'set', 'delete', 'update', 'warm', 'mirror', 'others'),
      key: fc.constantFrom('a', 'b', 'c'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(operation, { minLength: 2, maxLength: 10 }),
        fc.boolean(),
        async (s, operations, lateFront) => {
          const env = simulatedEnv();
          const [inFront, inBack] = [memory<unknown>({ env }), memory<unknown>({ env })];
          await inBack.setMany(['a', 'b'].map((key) => [key, 'first']));
          const wait = (step: string): Promise<unknown> => s.schedule(Promise.resolve(), step);
          const store = tiered({
            front: lateFront ? lateStore(inFront, wait, { name: 'front' }) : inFront,
            back: lateStore(inBack, wait, { name: 'back' }),
          });
          const run: Record<string, (key: 'a' | 'b' | 'c', n: number) => Promise<unknown>> = {
            get: (key) => store.get(key),
            set: (key, n) => store.set(key, n),
            delete: (key) => store.delete(key),
            update: (key, n) => store.update(key, () => n),
            warm: () => store.warm({ batchKeys: 2 }),
            mirror: () => store.warm({ strategy: 'mirror', batchKeys: 2 }),
            // What nobody tells this store of: only a later mirror brings it.
            others: (key, n) => inBack.set(key, n),
          };
          const running = operations.map(({ kind, key }, n) =>
            s.schedule(Promise.resolve(), `begin ${kind} ${key}`).then(() => run[kind]?.(key, n)),
          );
          await s.waitIdle();
          await Promise.all(running);
          const wrong = async (): Promise<string[]> => {
            const truth = await inBack.getEntries(['a', 'b', 'c']);
            const copies = await Array.fromAsync(inFront.list());
            return copies
              .filter(({ key, origin }) => origin?.version !== truth.get(key)?.version)
              .map(({ key }) => key);
          };
          if (operations.every(({ kind }) => kind !== 'others')) expect(await wrong()).toEqual([]);
          const last = store.warm({ strategy: 'mirror' });
          await s.waitIdle();
          await last;
          expect(await wrong()).toEqual([]);
          expect(await keysOf(inFront)).toEqual(await keysOf(inBack));
          const closing = store.close();
          await s.waitIdle();
          await closing;
          expect(env.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 300, interruptAfterTimeLimit: 15_000 },
    );
  });
});

describe('warming an overlay', () => {
  it('adds copies, and touches no own write and no deleted key', async () => {
    for (const strategy of ['fill-missing', 'mirror'] as const) {
      const { inBack, store, inFront } = world({ write: 'front-only' });
      await inBack.setMany(pairs(5));
      await store.set('k0', 'own');
      await store.delete('k1');
      await store.set('own', 1);
      expect(counts(await store.warm({ strategy }))).toEqual({
        ...NOTHING,
        copied: 3,
        skipped: strategy === 'mirror' ? 3 : 2,
      });
      expect(await store.getMany(['k0', 'k1', 'k2', 'own'])).toEqual(
        new Map<string, unknown>([
          ['k0', 'own'],
          ['k2', 2],
          ['own', 1],
        ]),
      );
      expect((await inFront.getEntry('k2'))?.meta).toBeUndefined();
    }
  });

  it('mirrors copies alone', async () => {
    const { inBack, store } = world({ write: 'front-only' });
    await inBack.setMany(pairs(3));
    await store.warm();
    await inBack.set('k0', 'new');
    await inBack.delete('k1');
    const origin = { store: 'elsewhere', epoch: 'e', rev: 1, version: 'v' };
    const call = Call.background(simulatedEnv(), 'test');
    await primitivesOf(store).commit([{ type: 'set', key: 'replica', value: 1, origin }], call);
    expect(await store.get('k0')).toBe(0);
    const mirrored = await store.warm({ strategy: 'mirror' });
    expect(counts(mirrored)).toEqual({ copied: 1, removed: 1, skipped: 2, missing: 0 });
    expect(await store.get('k0')).toBe('new');
    expect(await store.get('replica')).toBe(1);
    expect(await keysOf(store)).toEqual(['k0', 'k2', 'replica']);
  });

  it('loses to a write or delete made meanwhile', async () => {
    for (const strategy of ['fill-missing', 'mirror'] as const)
      for (const write of [
        (store: Store<unknown>) => store.set('k0', 'own'),
        (store: Store<unknown>) => store.delete('k0'),
        async (store: Store<unknown>) => [await store.set('k0', 1), await store.delete('k0')],
      ]) {
        const { inBack, store, backPlan } = world({ write: 'front-only' });
        await inBack.setMany(pairs(2));
        backPlan.hangNext('read', { applied: true });
        const warming = store.warm({ strategy });
        while (backPlan.hanging === 0) await settled();
        await write(store);
        const own = await store.getEntry('k0');
        backPlan.release();
        expect(counts(await warming)).toEqual({ ...NOTHING, copied: 1, skipped: 1 });
        expect(await store.getEntry('k0')).toEqual(own);
      }
  });
});

describe('warmOnOpen', () => {
  it('fills the front in the background; nothing waits for it', async () => {
    const { inBack, backPlan, front, back, events } = world();
    await inBack.setMany(pairs(10));
    const onEvent = (event: TieredEvent): void => void events.push(event);
    backPlan.hangNext('scan', { times: 1 });
    const store = tiered({ front, back, warmOnOpen: true, onEvent });
    await settled();
    expect(backPlan.hanging).toBe(1);
    expect(await store.get('k3')).toBe(3);
    await store.set('k4', 'new');
    expect(events).toEqual([]);
    backPlan.release();
    while (events.length === 0) await settled();
    expect(events).toMatchObject([{ type: 'warmed', progress: { copied: 8, skipped: 2 } }]);
    const reads = backPlan.calls('read');
    expect((await store.getMany(pairs(10).map(([key]) => key))).size).toBe(10);
    expect(backPlan.calls('read')).toBe(reads);
  });

  it('takes the options of warm, and refuses wrong ones', async () => {
    const env = simulatedEnv();
    const [front, back] = [memory<unknown>({ env }), memory<unknown>({ env })];
    await back.setMany([
      ['a', 1],
      ['b', 1],
    ]);
    const events: TieredEvent[] = [];
    tiered({
      front,
      back,
      warmOnOpen: { prefix: 'b', strategy: 'mirror' },
      onEvent: (event) => void events.push(event),
    });
    while (events.length === 0) await settled();
    expect(await keysOf(front)).toEqual(['b']);
    for (const warmOnOpen of [5, 'yes', { strategy: 'x' }, { prefix: 1 }] as never[])
      expect(() => tiered({ front: memory(), back: memory(), warmOnOpen })).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
  });

  it('tells when it failed, and ends in silence with the store', async () => {
    const { inBack, backPlan, front, back, events } = world();
    await inBack.setMany(pairs(3));
    const onEvent = (event: TieredEvent): void => void events.push(event);
    backPlan.failNext('scan', 'denied');
    const failing = tiered({ front, back, warmOnOpen: true, onEvent, closeParts: false });
    while (events.length === 0) await settled();
    expect(events).toMatchObject([
      { type: 'warm-failed', cause: { code: 'denied', details: { progress: NOTHING } } },
    ]);
    await failing.close();
    backPlan.hangNext('scan');
    const closed = tiered({ front, back, warmOnOpen: true, onEvent });
    await settled();
    await closed.close();
    await settled();
    expect(events).toHaveLength(1);
  });
});

it('beside pending writes, these are read first and reach the back', async () => {
  const { env, inBack, inFront, backPlan, store } = world({
    write: 'behind',
    journal: 'volatile',
  });
  await inBack.setMany(pairs(4));
  backPlan.failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
  await store.set('k0', 'pending');
  await store.delete('k1');
  for (const strategy of ['fill-missing', 'mirror'] as const) {
    await store.warm({ strategy });
    expect(await store.get('k0')).toBe('pending');
    expect(await store.get('k1')).toBeUndefined();
    expect(await store.get('k2')).toBe(2);
  }
  expect(await inFront.get('k3')).toBe(3);
  backPlan.heal();
  const flushed = store.flush();
  await env.advance(60_000);
  await flushed;
  expect(await inBack.get('k0')).toBe('pending');
  expect(await inBack.has('k1')).toBe(false);
});

it('beside a write that hangs, goes on with the other keys', async () => {
  for (const read of ['front-first', 'front-only'] as const) {
    const { inBack, inFront, backPlan, store } = world({ read });
    await inBack.setMany(pairs(3));
    backPlan.hangNext('commit', { applied: true });
    const writing = store.set('k0', 'new');
    await settled();
    expect(await store.warm()).toMatchObject({ copied: 2, skipped: 1 });
    backPlan.release();
    await writing;
    expect(await store.get('k0')).toBe('new');
    expect(await inFront.get('k0')).toBe('new');
  }
});

it('of a front that follows its back begins with its opening, and is followed on', async () => {
  const { env, inBack, front, back } = world();
  await inBack.setMany(pairs(3));
  const events: TieredEvent[] = [];
  const onEvent = (event: TieredEvent): void => void events.push(event);
  const store = tiered({ front, back, follow: true, warmOnOpen: true, onEvent });
  while (!events.some(({ type }) => type === 'warmed')) await env.advance(10);
  expect(events).toContainEqual(
    expect.objectContaining({ progress: expect.objectContaining({ copied: 3 }) }),
  );
  await inBack.set('k0', 'changed');
  await env.advance(1_000);
  expect(await store.get('k0')).toBe('changed');
  await store.close();
});
