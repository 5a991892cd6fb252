/** A front that follows its back while the feed fails, hangs, expires or changes its history; positions that are kept; large commits. */
import { describe, expect, it } from 'vitest';
import { followWorld as world } from '../../../test/support/follow-world.ts';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Env } from '../../store/env.ts';
import { defineStore, type Store } from '../../store/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import { systemEnv } from '../../store/system-env.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { type TieredEvent, tiered } from './index.ts';

/** A back whose store inside can be exchanged, as by a failover. */
function failover(env: SimulatedEnv, first: Store<unknown>) {
  let now = primitivesOf(first);
  const feed = (): NonNullable<typeof now.feed> => now.feed as NonNullable<typeof now.feed>;
  const store = defineStore<unknown>({
    shape: { type: 'failover' },
    capabilities: Object.freeze({ ...first.capabilities, blocking: false }),
    env,
    readOne: (key, call) => now.readOne(key, call),
    readMany: (keys, call) => now.readMany(keys, call),
    scan: (range, call) => now.scan(range, call),
    scanKeys: (range, call) => now.scanKeys(range, call),
    commit: (writes, call) => now.commit(writes, call),
    feed: {
      state: (call) => feed().state(call),
      read: (after, call) => feed().read(after, call),
      // The new one is noticed at the next look.
      wait: (after, call) => feed().wait(after, call),
      epochOf: (rev) => feed().epochOf(rev),
    },
    close: () => now.close(),
  });
  return {
    store,
    to: (other: Store<unknown>): void => {
      now = primitivesOf(other);
    },
  };
}

describe('a feed that cannot be read', () => {
  it('is tried again, and told in the status; copies are served meanwhile', async () => {
    const { env, store, inBack, backPlan, types } = world();
    await settled();
    await store.set('k', 1);
    await env.advance(1_500);
    expect(store.status().follow?.lagMs).toBe(0);
    backPlan.failNext('feed', 'unavailable', { times: Number.POSITIVE_INFINITY });
    await inBack.set('k', 2);
    await env.advance(5_000);
    const { state, lagMs } = store.status().follow ?? {};
    expect(state).toBe('lost');
    expect(lagMs).toBeGreaterThan(4_000);
    expect(lagMs).toBeLessThanOrEqual(6_000);
    expect(await store.get('k')).toBe(1);
    backPlan.heal();
    await env.advance(5_000);
    expect(store.status().follow).toEqual({ state: 'following', lagMs: 0 });
    expect(await store.get('k')).toBe(2);
    // It went on from where it was.
    expect(types()).toEqual(['following']);
  });

  it('is noticed when it hangs', async () => {
    const { env, store, inBack, backPlan } = world({ backTimeoutMs: 500 });
    await store.set('k', 1);
    await settled();
    backPlan.hangNext('feed', { times: Number.POSITIVE_INFINITY });
    await env.advance(2_500);
    expect(store.status().follow?.state).toBe('lost');
    expect(store.status().follow?.lagMs).toBeGreaterThan(1_500);
    await inBack.set('k', 2);
    backPlan.heal();
    await env.advance(6_000);
    expect(await store.get('k')).toBe(2);
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('keeps copies from being served beyond maxLagMs, and brings nobody back in time afterwards', async () => {
    const { env, store, inBack, backPlan } = world({ maxLagMs: 1_000 });
    await inBack.setMany([
      ['a', 1],
      ['b', 1],
    ]);
    await settled();
    expect([await store.get('a'), await store.get('b')]).toEqual([1, 1]);
    await env.advance(5_000);
    const reads = backPlan.calls('read');
    expect(await store.get('a')).toBe(1);
    expect(backPlan.calls('read')).toBe(reads);
    backPlan.failNext('feed', 'unavailable', { times: Number.POSITIVE_INFINITY });
    await inBack.set('a', 2);
    await env.advance(400);
    expect(await store.get('a')).toBe(1);
    await env.advance(1_000);
    expect(store.status().follow?.lagMs).toBeGreaterThan(1_000);
    expect(await store.get('a')).toBe(2);
    expect(store.blocking.get('a')).toBe(2);
    // Deletes count as well, and answers that the front does not take.
    await inBack.delete('b');
    expect(await store.get('b')).toBeUndefined();
    await inBack.set('a', 3);
    backPlan.failNext('read', 'unavailable');
    expect(await codeOf(store.get('a'))).toBe('unavailable');
    expect(await store.get('a')).toBe(3);
    backPlan.heal();
    backPlan.delay('feed', 900);
    for (let ms = 0; ms < 10_000; ms += 100) {
      await env.advance(100);
      expect(await store.get('a')).toBe(3);
      expect(await store.get('b')).toBeUndefined();
    }
  });

  it('ends in a new beginning when it cannot be continued', async () => {
    const { env, store, inBack, inFront, backPlan, types } = world();
    await store.setMany([
      ['a', 1],
      ['b', 1],
    ]);
    await settled();
    backPlan.failNext('feed', 'cursor-expired', { after: 1 });
    await inBack.set('a', 2);
    await settled();
    expect(types()).toEqual(['following', 'feed-lost']);
    // In doubt: the front is not asked.
    expect(await store.get('a')).toBe(2);
    await env.advance(1_000);
    expect(types()).toEqual(['following', 'feed-lost', 'following']);
    expect(await Array.fromAsync(inFront.keys())).toEqual([]);
    expect(await store.get('a')).toBe(2);
    await inBack.set('a', 3);
    await settled();
    expect(await inFront.get('a')).toBe(3);
  });

  it('begins anew with another history of the back, and trusts nothing from before', async () => {
    const env = simulatedEnv();
    const [first, second] = [memory({ env }), memory({ env })];
    const back = failover(env, first);
    const inFront = memory({ env });
    const events: string[] = [];
    const store = tiered<unknown>({
      front: inFront,
      back: back.store,
      follow: true,
      onEvent: ({ type }) => events.push(type),
    });
    await settled();
    for (let n = 0; n < 20; n++) await store.set('k', n);
    await store.set('lost', 1);
    await second.set('k', 'restored');
    back.to(second);
    await env.advance(3_000);
    expect(events).toEqual(['following', 'feed-lost', 'following']);
    expect(await store.get('k')).toBe('restored');
    expect(await store.get('lost')).toBeUndefined();
    await second.set('k', 'and on');
    // The wait hung on the old one.
    await env.advance(1_100);
    expect(await store.get('k')).toBe('and on');
    await store.close();
  });
});

describe('a front that outlives the process', () => {
  const open = (
    env: SimulatedEnv,
    front: Store<unknown>,
    back: Store<unknown>,
    events: TieredEvent[] = [],
  ) =>
    tiered<unknown>({
      front: lateStore(front),
      back,
      follow: true,
      closeParts: false,
      env,
      onEvent: (event) => events.push(event),
    });

  it('goes on from where it was, and keeps what is still true', async () => {
    const env = simulatedEnv();
    const front = memory({ env });
    const inBack = memory({ env });
    const plan = new FaultPlan();
    const back = faulty(inBack, plan);
    {
      await using store = open(env, front, back);
      await env.advance(10);
      await store.setMany([
        ['kept', 1],
        ['changed', 1],
        ['gone', 1],
      ]);
      await env.advance(10);
    }
    await inBack.set('changed', 2);
    await inBack.delete('gone');
    const events: TieredEvent[] = [];
    await using store = open(env, front, back, events);
    // Not before it has caught up.
    expect(await store.get('changed')).toBe(2);
    await env.advance(10);
    expect(events).toEqual([{ type: 'following' }]);
    const reads = plan.calls('read');
    expect(await store.get('kept')).toBe(1);
    expect(await store.get('changed')).toBe(2);
    expect(plan.calls('read')).toBe(reads);
    expect(await store.get('gone')).toBeUndefined();
  });

  it('is emptied when the position cannot be continued, or is of another store', async () => {
    const env = simulatedEnv();
    const front = memory({ env });
    const first = memory({ env, tombstoneBytes: 0, logBytes: 0 });
    {
      await using store = open(env, front, first);
      await env.advance(10);
      await store.set('k', 1);
      await store.set('gone', 1);
      await env.advance(10);
    }
    // A delete that is forgotten raises the floor.
    await first.delete('gone');
    await first.set('k', 2);
    const events: TieredEvent[] = [];
    {
      await using store = open(env, front, first, events);
      await env.advance(1_000);
      expect(events.map(({ type }) => type)).toEqual(['feed-lost', 'following']);
      expect(await Array.fromAsync(front.keys())).toEqual([]);
      expect(await store.get('k')).toBe(2);
    }
    const other = memory({ env });
    await other.set('k', 'other');
    await using store = open(env, front, other, events);
    await env.advance(1_000);
    expect(await store.get('k')).toBe('other');
  });

  it('keeps no position beyond a copy that may be wrong', async () => {
    const env = simulatedEnv();
    const inFront = memory({ env });
    const plan = new FaultPlan();
    const back = memory({ env });
    {
      const store = open(env, faulty(inFront, plan), back);
      await env.advance(10);
      await store.set('k', 'old');
      await env.advance(2_000);
      plan.failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
      await back.set('k', 'new');
      await env.advance(5_000);
      expect(await inFront.get('k')).toBe('old');
      expect(await store.get('k')).toBe('new');
      // The process ends here, without a close.
    }
    await using store = open(env, inFront, back);
    await env.advance(1_000);
    expect(await store.get('k')).toBe('new');
  });
});

describe('a follower far behind', () => {
  it('takes 100,000 changes, and lets others run in between', async () => {
    let nowMs = 0;
    let breaths = 0;
    const env: Env = {
      ...systemEnv,
      // Every look at the clock costs a millisecond, so that slices are counted and not timed.
      monotonicMs: () => ++nowMs,
      setTimer: (fn, delayMs, options) => {
        if (delayMs === 0) breaths++;
        return systemEnv.setTimer(fn, delayMs, options);
      },
    };
    const back = memory<number>({ logBytes: 0, env });
    const front = memory<number>({ env });
    const store = tiered({ front, back, follow: true });
    await expect.poll(() => store.status().follow?.state).toBe('following');
    const keys = Array.from({ length: 100_000 }, (_, n) => `k${n}`);
    await store.setMany(keys.slice(0, 5_000).map((key) => [key, 0] as const));
    await expect.poll(() => store.status().follow?.lagMs).toBe(0);
    breaths = 0;
    await back.setMany(keys.map((key) => [key, 1] as const));
    await expect.poll(() => front.get('k4999'), { interval: 1 }).toBe(1);
    await expect.poll(() => store.status().follow?.lagMs, { interval: 1 }).toBe(0);
    expect(breaths).toBeGreaterThan(20);
    expect(await Array.fromAsync(front.keys())).toHaveLength(5_000);
    await store.close();
  });
});

it('a store that is closed follows no longer, whatever it was doing', async () => {
  for (const hang of ['feed', 'none'] as const)
    for (const advanceMs of [0, 10, 1_100]) {
      const { env, store, backPlan } = world();
      if (hang === 'feed') backPlan.hangNext('feed', { times: Number.POSITIVE_INFINITY });
      await env.advance(advanceMs);
      const closing = store.close();
      await env.advance(0);
      await closing;
      const calls = backPlan.calls('feed');
      backPlan.heal();
      await env.advance(60_000);
      expect(backPlan.calls('feed')).toBe(calls);
      expect(env.pendingTimers).toBe(0);
    }
});

it('a store is closed that could not empty its front, and tries that no more', async () => {
  for (const fault of ['fail', 'hang'] as const)
    for (const advanceMs of [0, 10, 1_100, 20_000]) {
      const { env, store, inBack, frontPlan } = world();
      const times = { times: Number.POSITIVE_INFINITY };
      if (fault === 'fail') frontPlan.failNext('scan', undefined, times);
      else frontPlan.hangNext('scan', times);
      await inBack.set('k', 1);
      expect(await store.get('k')).toBe(1);
      await env.advance(advanceMs);
      let closed = false;
      const closing = store.close().then(() => {
        closed = true;
      });
      await env.advance(5_000);
      expect(closed).toBe(true);
      await closing;
      const calls = frontPlan.calls('scan');
      await env.advance(60_000);
      expect(frontPlan.calls('scan')).toBe(calls);
      expect(env.pendingTimers).toBe(0);
    }
});
