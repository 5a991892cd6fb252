/** What is served while the back is away, and reads that want nothing but what the back holds. */
import { describe, expect, it } from 'vitest';
import { codeOf, tieredWorld as world } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { encoded } from '../../layers/encoded/index.ts';
import { observed } from '../../layers/observed/index.ts';
import { prefixed } from '../../layers/prefixed.ts';
import { json } from '../../store/index.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { tiered } from './index.ts';

const FOR_EVER = { times: Number.POSITIVE_INFINITY };

describe('graceMs', () => {
  const options = { ttlMs: 1_000, graceMs: 10_000, backTimeoutMs: 200 };

  it('serves a copy beyond its freshness while the back fails, and marks it', async () => {
    for (const code of ['unavailable', 'timeout'] as const) {
      const { env, store, inBack, backPlan } = world(options);
      await inBack.set('k', 'old', { meta: { a: 1 } });
      const truth = await store.getEntry('k');
      expect(truth?.stale).toBeUndefined();
      await inBack.set('k', 'new');
      backPlan.failNext('read', code, FOR_EVER);
      await env.advance(999);
      expect(await store.getEntry('k')).toEqual(truth);
      await env.advance(1);
      for (let i = 0; i < 12; i++) expect(await store.get('k')).toBe('old');
      expect(await store.getEntry('k')).toEqual({ ...truth, stale: true });
      expect((await store.getEntries(['k'])).get('k')).toEqual({ ...truth, stale: true });
      expect(store.blocking.getEntry('k')).toEqual({ ...truth, stale: true });
      expect(await store.has('k')).toBe(true);
      expect(await store.getOrSet('k', () => 'loaded')).toBe('old');
      await env.advance(10_000);
      expect(await codeOf(store.get('k'))).toBe('unavailable');
      backPlan.heal();
      await env.advance(11_000);
      expect(await store.get('k')).toBe('new');
      expect((await store.getEntry('k'))?.stale).toBeUndefined();
    }
  });

  it('asks the back first, for a bounded time, and at once once it is known to be away', async () => {
    const { env, store, inBack, backPlan } = world({ ...options, breaker: { failures: 2 } });
    await inBack.set('k', 'old');
    await store.get('k');
    await inBack.set('k', 'new');
    await env.advance(1_000);
    expect(await store.get('k')).toBe('new');
    await env.advance(1_000);
    backPlan.hangNext('read', FOR_EVER);
    for (let i = 0; i < 2; i++) {
      let given: unknown;
      const reading = store.get('k').then((value) => {
        given = value;
      });
      await env.advance(199);
      expect(given).toBeUndefined();
      await env.advance(1);
      await reading;
      expect(given).toBe('new');
    }
    expect(store.status().back.state).toBe('away');
    expect(await store.get('k')).toBe('new');
  });

  it('serves nothing past the expiry of its source, not even when that comes during the wait', async () => {
    const { env, store, inBack, backPlan } = world(options);
    await inBack.set('k', 1, { ttlMs: 1_100 });
    await store.get('k');
    await env.advance(1_000);
    backPlan.hangNext('read', FOR_EVER);
    const reading = codeOf(store.get('k'));
    await env.advance(200);
    expect(await reading).toBe('unavailable');
  });

  it('is not longer than it is, not even when it ends during the wait', async () => {
    const { env, store, backPlan } = world({ ...options, graceMs: 100 });
    await store.set('k', 1);
    await env.advance(1_050);
    backPlan.hangNext('read', FOR_EVER);
    const reading = codeOf(store.get('k'));
    await env.advance(200);
    expect(await reading).toBe('unavailable');
  });

  it('fails for several keys when one of them is not known', async () => {
    const { env, store, backPlan } = world(options);
    await store.setMany([
      ['a', 1],
      ['b', 2],
    ]);
    await env.advance(1_000);
    backPlan.failNext('read', 'unavailable', FOR_EVER);
    expect([...(await store.getMany(['a', 'b'])).values()]).toEqual([1, 2]);
    expect(await codeOf(store.getMany(['a', 'unknown', 'b']))).toBe('unavailable');
    expect(await codeOf(store.getMany(['unknown']))).toBe('unavailable');
  });

  it('is no answer to errors that say something of the key', async () => {
    const { env, store, backPlan } = world(options);
    await store.set('k', 1);
    await env.advance(1_000);
    for (const code of ['corrupt', 'denied', 'data-missing'] as const) {
      backPlan.failNext('read', code);
      expect(await codeOf(store.get('k'))).toBe(code);
    }
  });

  it('serves no copy of a key whose last write may have been applied', async () => {
    const { env, store, backPlan } = world(options);
    await store.set('k', 'old');
    backPlan.failNext('commit', 'unknown-outcome', { applied: true });
    expect(await codeOf(store.set('k', 'new'))).toBe('unknown-outcome');
    backPlan.failNext('read', 'unavailable', FOR_EVER);
    expect(await codeOf(store.get('k'))).toBe('unavailable');
    await env.advance(5_000);
    expect(await codeOf(store.get('k'))).toBe('unavailable');
  });

  it('keeps no stale answer of a cache behind it as a copy', async () => {
    for (const write of ['through', 'front-only'] as const) {
      const env = simulatedEnv();
      const [near, middle, far] = [memory({ env }), memory({ env }), memory({ env })];
      const plan = new FaultPlan();
      const inner = tiered({ front: middle, back: faulty(far, plan), ...options });
      const store = tiered({ front: near, back: inner, write });
      await inner.set('k', 'old');
      await far.set('k', 'new');
      await env.advance(1_000);
      plan.failNext('read', 'unavailable');
      expect((await store.getEntry('k'))?.stale).toBe(true);
      await settled();
      expect(await near.get('k')).toBeUndefined();
      expect(await store.getEntry('k')).toMatchObject({ value: 'new' });
      expect((await store.getEntry('k'))?.stale).toBeUndefined();
    }
  });

  it('shows itself through layers', async () => {
    const env = simulatedEnv();
    const plan = new FaultPlan();
    const bytes = tiered({
      front: memory<Uint8Array>({ env }),
      back: faulty(memory<Uint8Array>({ env }), plan),
      ...options,
    });
    const store = prefixed(observed(encoded<unknown>(bytes, { codec: json() })), 'p:');
    await store.set('k', { n: 1 });
    await env.advance(1_000);
    plan.failNext('read', 'unavailable', FOR_EVER);
    expect(await store.getEntry('k')).toMatchObject({ value: { n: 1 }, stale: true });
  });

  it('counts in a front that is read alone only while the back is away', async () => {
    const { env, store, inFront, backPlan } = world({
      ...options,
      read: 'front-only',
      breaker: { failures: 1 },
    });
    await store.set('k', 1);
    const shown = async () => ({
      got: (await store.getEntry('k'))?.stale,
      many: [...(await store.getMany(['k'])).keys()],
      listed: (await Array.fromAsync(store.list())).map(({ key, stale }) => [key, stale]),
      keys: await Array.fromAsync(store.keys()),
      blocking: [...store.blocking.list()].map(({ stale }) => stale),
      blockingKeys: [...store.blocking.keys()],
    });
    await env.advance(1_000);
    const nothing = { got: undefined, many: [], listed: [], keys: [] };
    expect(await shown()).toEqual({ ...nothing, blocking: [], blockingKeys: [] });
    expect(await inFront.has('k')).toBe(true);
    backPlan.failNext('commit', 'unavailable');
    await codeOf(store.set('other', 1));
    expect(await shown()).toEqual({
      got: true,
      many: ['k'],
      listed: [['k', true]],
      keys: ['k'],
      blocking: [true],
      blockingKeys: ['k'],
    });
    expect(backPlan.calls('read')).toBe(0);
  });
});

describe('a fresh read', () => {
  const reads: Record<string, (store: Store<unknown>, fresh: boolean) => Promise<unknown>> = {
    get: (store, fresh) => store.get('k', { fresh }),
    getEntry: async (store, fresh) => (await store.getEntry('k', { fresh }))?.value,
    getMany: async (store, fresh) => (await store.getMany(['k', 'x'], { fresh })).get('k'),
    getEntries: async (store, fresh) =>
      (await store.getEntries(['k', 'x'], { fresh })).get('k')?.value,
    has: async (store, fresh) => ((await store.has('k', { fresh })) ? 'new' : undefined),
    hasMany: async (store, fresh) =>
      (await store.hasMany(['k', 'x'], { fresh })).has('k') ? 'new' : undefined,
  };
  for (const [name, read] of Object.entries(reads)) {
    it(`${name} gives what the back holds, and brings the copy up to date`, async () => {
      for (const options of [{}, { ttlMs: 1_000 }, { ttlMs: 1_000, negativeTtlMs: 1_000 }]) {
        const { store, inFront, inBack } = world(options);
        await store.set('k', 'old');
        await inBack.set('k', 'new');
        expect(await store.get('k')).toBe('old');
        expect(await read(store, true)).toBe('new');
        await settled();
        expect(await inFront.get('k')).toBe('new');
        expect(await store.get('k')).toBe('new');
        await inBack.delete('k');
        expect(await read(store, true)).toBeUndefined();
        await settled();
        expect(await inFront.get('k')).toBeUndefined();
        expect(await store.get('k')).toBeUndefined();
        await inBack.set('k', 'new');
        expect(await read(store, true)).toBe('new');
        expect(await store.get('k')).toBe('new');
      }
    });
  }

  it('goes past every tier', async () => {
    const env = simulatedEnv();
    const [near, middle, far] = [memory({ env }), memory({ env }), memory({ env })];
    const inner = tiered({ front: middle, back: far });
    const store = observed(prefixed(tiered({ front: near, back: inner }), 'p:'));
    await store.set('k', 'old');
    await far.set('p:k', 'new');
    expect(await store.get('k')).toBe('old');
    expect(await store.get('k', { fresh: true })).toBe('new');
    await settled();
    expect([await near.get('p:k'), await middle.get('p:k')]).toEqual(['new', 'new']);
    expect(await store.get('k')).toBe('new');
  });

  it('goes past the cache under an overlay, which keeps what it has', async () => {
    const env = simulatedEnv();
    const [own, middle, far] = [memory({ env }), memory({ env }), memory({ env })];
    const store = tiered({
      front: own,
      back: tiered({ front: middle, back: far }),
      write: 'front-only',
    });
    await far.setMany([
      ['k', 'old'],
      ['own', 'old'],
    ]);
    await store.set('own', 'mine');
    await middle.get('k');
    await far.set('k', 'new');
    expect(await store.get('own', { fresh: true })).toBe('mine');
    expect(await store.get('k', { fresh: true })).toBe('new');
  });

  it('does not join a read that began before it; those who ask at once share two', async () => {
    const { env, store, inBack, backPlan } = world();
    await inBack.set('k', 'old');
    backPlan.hangNext('read', { applied: true });
    const early = store.get('k');
    await settled();
    await inBack.set('k', 'new');
    backPlan.delay('read', 10);
    const fresh = Array.from({ length: 1_000 }, () => store.get('k', { fresh: true }));
    await env.advance(30);
    expect(new Set(await Promise.all(fresh))).toEqual(new Set(['new']));
    expect(backPlan.calls('read')).toBe(3);
    backPlan.release();
    expect(await early).toBe('old');
    await settled();
    expect(await store.get('k')).toBe('new');
  });

  it('leaves no copy that is older than what it has given, whatever else is under way', async () => {
    const { store, inBack, backPlan } = world();
    await store.set('k', 'old');
    // A write whose answer is late, and after which somebody else writes.
    backPlan.hangNext('commit', { applied: true });
    const writing = store.set('k', 'written');
    await settled();
    await inBack.set('k', 'newest');
    expect(await store.get('k', { fresh: true })).toBe('newest');
    backPlan.release();
    await writing;
    await settled();
    expect(await store.get('k')).toBe('newest');
    // A blocking read in between.
    backPlan.hangNext('read', { applied: true });
    const fresh = store.get('k', { fresh: true });
    await settled();
    await inBack.set('k', 'newer still');
    backPlan.release();
    await fresh;
    expect(await store.get('k', { fresh: true })).toBe('newer still');
    expect(store.blocking.get('k')).toBe('newer still');
  });

  it('fails while the back is away, and keeps nobody else from the copy', async () => {
    const { env, store, backPlan } = world({ ttlMs: 1_000, graceMs: 1_000, backTimeoutMs: 100 });
    await store.set('k', 1);
    backPlan.hangNext('read', FOR_EVER);
    const fresh = codeOf(store.get('k', { fresh: true }));
    await settled();
    expect(await store.get('k')).toBe(1);
    expect(store.blocking.get('k')).toBe(1);
    const next = codeOf(store.get('k', { fresh: true }));
    await env.advance(100);
    expect([await fresh, await next]).toEqual(['unavailable', 'unavailable']);
    expect(await store.get('k')).toBe(1);
  });
});
