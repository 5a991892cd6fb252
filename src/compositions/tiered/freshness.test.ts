/** How long copies are fresh, and what is served then. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf, tieredWorld as world } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { tiered } from './index.ts';

describe('ttlMs', () => {
  it('ends the freshness of what was read and of what was written', async () => {
    const { env, store, inBack, backPlan } = world({ ttlMs: 1_000 });
    await inBack.set('read', 1);
    await store.get('read');
    await store.set('written', 1);
    await inBack.setMany([
      ['read', 2],
      ['written', 2],
    ]);
    const keys = ['read', 'written'];
    await env.advance(999);
    expect(await Promise.all(keys.map((key) => store.get(key)))).toEqual([1, 1]);
    expect([...(await store.getMany(keys)).values()]).toEqual([1, 1]);
    expect(backPlan.calls('read')).toBe(1);
    await env.advance(1);
    expect(await Promise.all(keys.map((key) => store.get(key)))).toEqual([2, 2]);
    expect(keys.map((key) => store.blocking.get(key))).toEqual([2, 2]);
    expect(backPlan.calls('read')).toBe(3);
  });

  it('counts from the beginning of the read of the back, not from its answer', async () => {
    const { env, store, inBack, backPlan } = world({ ttlMs: 1_000 });
    await inBack.set('k', 1);
    backPlan.delay('read', 400);
    const first = store.get('k');
    await env.advance(400);
    expect(await first).toBe(1);
    backPlan.heal();
    await inBack.set('k', 2);
    await env.advance(599);
    expect(await store.get('k')).toBe(1);
    await env.advance(1);
    expect(await store.get('k')).toBe(2);
  });

  it('A40: never lets a copy outlive its source, whichever of the two ends first', async () => {
    for (const [sourceMs, options] of [
      [100, { ttlMs: 1_000 }],
      [100, { ttlMs: 50, staleWhileRevalidateMs: 10_000, graceMs: 10_000 }],
    ] as const) {
      const { env, store, inBack, backPlan } = world(options);
      await inBack.set('k', 1, { ttlMs: sourceMs });
      await store.get('k');
      backPlan.failNext('read', 'unavailable', { times: 100 });
      await env.advance(sourceMs - 1);
      expect(await store.get('k')).toBe(1);
      await env.advance(1);
      expect(await codeOf(store.get('k'))).toBe('unavailable');
      backPlan.heal();
      await env.advance(500);
      expect(await store.get('k')).toBeUndefined();
    }
  });

  it('hides nothing of an entry: its own expiry, metadata and origin are those of the back', async () => {
    for (const options of [{ ttlMs: 1_000 }, { ttlMs: 1_000, graceMs: 5_000 }]) {
      const { env, store, inBack, backPlan } = world(options);
      const origin = { store: 'far', epoch: 'e', rev: 7, version: 'v' };
      const later = env.now() + 60_000;
      primitivesOf(inBack).blocking?.commit(
        [
          { type: 'set', key: 'plain', value: 1 },
          { type: 'set', key: 'later', value: 2, expiresAt: later, meta: { a: 1 } },
          { type: 'set', key: 'soon', value: 2, expiresAt: env.now() + 500, immutable: true },
          { type: 'set', key: 'copied', value: 3, origin, meta: { '\u0000tiered': { a: 1 } } },
        ],
        'set',
      );
      for (const key of ['plain', 'later', 'soon', 'copied']) {
        const truth = await inBack.getEntry(key);
        for (let i = 0; i < 3; i++) expect(await store.getEntry(key)).toEqual(truth);
        expect(store.blocking.getEntry(key)).toEqual(truth);
      }
      expect(backPlan.calls('read')).toBe(4);
      // An update keeps the expiry of the entry, not that of its copy.
      expect((await store.update('later', () => 5))?.expiresAt).toBe(later);
      expect((await store.getEntry('later'))?.expiresAt).toBe(later);
    }
  });

  it('holds for the fast way of get, and does not keep it from being used', async () => {
    const env = simulatedEnv();
    const [front, back] = [memory({ env }), memory({ env })];
    const store = tiered({ front, back, ttlMs: 100 });
    await back.set('k', 1);
    expect(primitivesOf(store).peek?.('k')).toBeUndefined();
    await store.get('k');
    expect(primitivesOf(store).peek?.('k')).toBe(1);
    await back.set('k', 2);
    await env.advance(100);
    expect(primitivesOf(store).peek?.('k')).toBeUndefined();
    expect(await store.get('k')).toBe(2);
  });

  it('does not use the fast way where a value alone does not tell its age', async () => {
    for (const more of [{ staleWhileRevalidateMs: 1_000 }, { graceMs: 1_000 }]) {
      const env = simulatedEnv();
      const [front, back] = [memory({ env }), memory({ env })];
      const store = tiered({ front, back, ttlMs: 100, ...more });
      await store.set('k', 'old');
      await back.set('k', 'new');
      await env.advance(100);
      await store.get('k');
      await settled();
      expect(await store.get('k')).toBe('new');
    }
  });

  it('asks again for copies of which it is not known how old they are', async () => {
    const env = simulatedEnv();
    const [front, back] = [memory({ env }), memory({ env })];
    const before = tiered({ front, back, closeParts: false });
    await before.set('k', 1);
    await before.close();
    await back.set('k', 2);
    expect(await front.get('k')).toBe(1);
    for (const options of [{ ttlMs: 100 }, { ttlMs: 100, graceMs: 100 }]) {
      const store = tiered({ front, back, closeParts: false, ...options });
      expect(store.blocking.get('k')).toBe(2);
      expect(await store.get('k')).toBe(2);
    }
  });

  it('goes by the wall clock in a front that outlives the process, whatever `ttlMs` was before', async () => {
    const env = simulatedEnv();
    const [inFront, back] = [memory({ env }), memory({ env })];
    const open = (ttlMs: number) =>
      tiered({ front: lateStore(inFront), back, ttlMs, closeParts: false });
    const first = open(60_000);
    await first.set('k', 1);
    await first.close();
    await back.set('k', 2);
    await env.advance(1_000);
    const second = open(2_000);
    expect(await second.get('k')).toBe(1);
    const third = open(500);
    expect(await third.get('k')).toBe(2);
  });

  it('asks again when the clock was set back to before a copy was made', async () => {
    const { env, store, inBack } = world({ ttlMs: 1_000 });
    await store.set('k', 1);
    await inBack.set('k', 2);
    env.stepClock(-60_000);
    expect(await store.get('k')).toBe(2);
  });
});

describe('staleWhileRevalidateMs', () => {
  it('serves a copy while exactly one read refreshes it, however many ask', async () => {
    const { env, store, inBack, backPlan } = world({ ttlMs: 100, staleWhileRevalidateMs: 1_000 });
    await store.set('k', 'old');
    await inBack.set('k', 'new');
    await env.advance(100);
    backPlan.delay('read', 50);
    const before = backPlan.calls('read');
    for (let i = 0; i < 100; i++) {
      expect(await store.get('k')).toBe('old');
      expect((await store.getMany(['k'])).get('k')).toBe('old');
      expect(store.blocking.get('k')).toBe('old');
      expect((await store.getEntry('k'))?.stale).toBeUndefined();
    }
    expect(backPlan.calls('read')).toBe(before + 1);
    await env.advance(50);
    expect(await store.get('k')).toBe('new');
    expect(backPlan.calls('read')).toBe(before + 1);
    await env.advance(49);
    expect(await store.get('k')).toBe('new');
    expect(backPlan.calls('read')).toBe(before + 1);
  });

  it('refreshes several keys by one read of the back', async () => {
    const { env, store, backPlan } = world({ ttlMs: 100, staleWhileRevalidateMs: 1_000 });
    const keys = ['a', 'b', 'c'];
    await store.setMany(keys.map((key) => [key, 1]));
    await env.advance(100);
    expect((await store.getMany(keys)).size).toBe(3);
    expect(backPlan.calls('read')).toBe(1);
  });

  it('is over after its time: the next read waits for the back', async () => {
    const { env, store, inBack, backPlan } = world({ ttlMs: 100, staleWhileRevalidateMs: 100 });
    await store.set('k', 'old');
    await inBack.set('k', 'new');
    await env.advance(200);
    backPlan.failNext('read', 'unavailable');
    expect(await codeOf(store.get('k'))).toBe('unavailable');
    expect(await store.get('k')).toBe('new');
  });

  it('serves on when a refresh fails, and tries again with the next read', async () => {
    const { env, store, inBack, backPlan } = world({ ttlMs: 100, staleWhileRevalidateMs: 1_000 });
    await store.set('k', 'old');
    await inBack.set('k', 'new');
    await env.advance(100);
    backPlan.failNext('read', 'unavailable');
    expect(await store.get('k')).toBe('old');
    await settled();
    expect(await store.get('k')).toBe('old');
    await settled();
    expect(await store.get('k')).toBe('new');
    expect(backPlan.calls('read')).toBe(2);
  });

  it('removes the copy of what the back no longer has', async () => {
    const { env, store, inFront, inBack } = world({ ttlMs: 100, staleWhileRevalidateMs: 1_000 });
    await store.set('k', 'old');
    await inBack.delete('k');
    await env.advance(100);
    expect(await store.get('k')).toBe('old');
    await settled();
    expect(await inFront.get('k')).toBeUndefined();
    expect(await store.get('k')).toBeUndefined();
  });

  it('never replaces what was written during a refresh', async () => {
    const { env, store, inFront, backPlan } = world({ ttlMs: 100, staleWhileRevalidateMs: 1_000 });
    for (const write of [
      () => store.set('k', 'written'),
      () => store.delete('k'),
      async () => store.blocking.set('k', 'written'),
    ]) {
      await store.set('k', 'old');
      await env.advance(100);
      backPlan.hangNext('read', { applied: true });
      expect(await store.get('k')).toBe('old');
      await settled();
      await write();
      const now = store.blocking.get('k');
      expect(now).not.toBe('old');
      backPlan.release();
      await settled();
      expect(await store.get('k')).toBe(now);
      expect(await inFront.get('k')).toBe(now);
    }
  });

  it('serves no copy while a write is under way, although a refresh is too', async () => {
    const { env, store, backPlan } = world({ ttlMs: 100, staleWhileRevalidateMs: 1_000 });
    await store.set('k', 'old');
    await env.advance(100);
    backPlan.hangNext('read', { applied: true });
    expect(await store.get('k')).toBe('old');
    backPlan.hangNext('commit', { applied: true });
    const writing = store.set('k', 'new');
    await settled();
    // It is in the back already.
    expect(await store.get('k')).toBe('new');
    expect(store.blocking.get('k')).toBe('new');
    backPlan.release();
    await writing;
    expect(await store.get('k')).toBe('new');
  });

  it('does not serve a copy any more that could not be replaced', async () => {
    const { env, store, inFront, inBack, frontPlan } = world({
      ttlMs: 100,
      staleWhileRevalidateMs: 1_000,
    });
    await store.set('k', 'old');
    await inBack.set('k', 'new');
    await env.advance(100);
    frontPlan.failNext('commit', 'no-space', { times: 2 });
    expect(await store.get('k')).toBe('old');
    await settled();
    expect(await inFront.get('k')).toBe('old');
    expect(await store.get('k')).toBe('new');
  });
});

describe('negativeTtlMs', () => {
  it('remembers for a while that a key does not exist', async () => {
    const { env, store, inBack, backPlan } = world({ negativeTtlMs: 1_000 });
    expect(await store.get('k')).toBeUndefined();
    await inBack.set('k', 1);
    await env.advance(999);
    expect(await store.get('k')).toBeUndefined();
    expect(await store.has('k')).toBe(false);
    expect((await store.getMany(['k'])).size).toBe(0);
    expect(store.blocking.get('k')).toBeUndefined();
    expect(backPlan.calls('read')).toBe(1);
    await env.advance(1);
    expect(await store.get('k')).toBe(1);
  });

  it('does so by the clock that has run further', async () => {
    for (const step of [60_000, -60_000]) {
      const { env, store, inBack } = world({ negativeTtlMs: 1_000 });
      expect(await store.get('k')).toBeUndefined();
      await inBack.set('k', 1);
      env.stepClock(step);
      if (step < 0) await env.advance(1_000);
      expect(await store.get('k')).toBe(1);
    }
  });

  it('row 17: a set is seen at once, and not hidden by a late answer that the key is missing', async () => {
    const { store, inBack, backPlan } = world({ negativeTtlMs: 1_000 });
    for (const write of [
      () => store.set('k', 1),
      () => store.setMany([['k', 1]]),
      () => store.update('k', () => 1),
      () => store.getOrSet('k', () => 1),
      async () => store.blocking.set('k', 1),
    ]) {
      await inBack.delete('k');
      await store.delete('k');
      expect(await store.get('k')).toBeUndefined();
      backPlan.hangNext('read', { applied: true });
      const late = store.get('k', { fresh: true });
      await settled();
      await write();
      expect(await store.get('k')).toBe(1);
      backPlan.release();
      expect(await late).toBeUndefined();
      await settled();
      expect(await store.get('k')).toBe(1);
      expect(store.blocking.get('k')).toBe(1);
    }
  });

  it('holds no more keys than it may', async () => {
    const { store, backPlan } = world({ negativeTtlMs: 1_000 });
    const keys = Array.from({ length: 100_001 }, (_, n) => `k${n}`);
    await store.getMany(keys);
    expect(backPlan.calls('read')).toBe(1);
    await store.get('k100000');
    expect(backPlan.calls('read')).toBe(1);
    await store.get('k0');
    expect(backPlan.calls('read')).toBe(2);
  });
});

describe("populate: 'await'", () => {
  it('gives a miss when its copy stands in the front', async () => {
    for (const populate of ['await', 'background'] as const) {
      const { env, store, inFront, inBack, frontPlan } = world({ populate });
      await inBack.setMany([
        ['a', 1],
        ['b', 2],
      ]);
      frontPlan.delay('commit', 50);
      const seen: unknown[] = [];
      const reads = [
        store.get('a').then(() => seen.push(inFront.blocking.get('a'))),
        store.getMany(['b']).then(() => seen.push(inFront.blocking.get('b'))),
      ];
      await env.advance(50);
      await Promise.all(reads);
      expect(seen).toEqual(populate === 'await' ? [1, 2] : [undefined, undefined]);
    }
  });

  it('is bounded by the time that a front has, and its failure is none of the caller', async () => {
    const { env, store, inBack, frontPlan } = world({ populate: 'await', frontTimeoutMs: 100 });
    await inBack.set('k', 1);
    frontPlan.hangNext('commit');
    const reading = store.get('k');
    await env.advance(100);
    expect(await reading).toBe(1);
    frontPlan.heal();
    frontPlan.failNext('commit', 'no-space', { times: 2 });
    expect(await store.get('k')).toBe(1);
  });
});
