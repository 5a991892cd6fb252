/** A front that follows the feed of its back, in simulated time, while the feed fails in every way. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { encoded } from '../../layers/encoded/index.ts';
import { prefixed } from '../../layers/prefixed.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { defineStore, json, type Store, type StoreWithBlocking } from '../../store/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import { systemEnv } from '../../store/system-env.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import {
  type TieredEvent,
  type TieredOptions,
  type TieredStoreWithBlocking,
  tiered,
} from './index.ts';

type Options = Partial<Omit<TieredOptions<unknown>, 'env'>>;

interface World {
  readonly env: SimulatedEnv;
  readonly inFront: StoreWithBlocking<unknown>;
  readonly inBack: StoreWithBlocking<unknown>;
  readonly frontPlan: FaultPlan;
  readonly backPlan: FaultPlan;
  readonly store: TieredStoreWithBlocking<unknown>;
  readonly events: readonly TieredEvent[];
  /** The types of the events. */
  types(): string[];
}

function world(options: Options = {}, env: SimulatedEnv = simulatedEnv()): World {
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  const [frontPlan, backPlan] = [new FaultPlan(), new FaultPlan()];
  const events: TieredEvent[] = [];
  const store = tiered<unknown>({
    front: faulty(inFront, frontPlan),
    back: faulty(inBack, backPlan),
    follow: true,
    onEvent: (event) => events.push(event),
    ...options,
  }) as TieredStoreWithBlocking<unknown>;
  const types = (): string[] => events.map(({ type }) => type);
  return { env, inFront, inBack, frontPlan, backPlan, events, types, store };
}

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

describe('a front that follows', () => {
  it('has every change that others make in the back, as soon as the feed tells', async () => {
    const { store, inBack, inFront, backPlan, types } = world();
    await settled();
    expect(types()).toEqual(['following']);
    expect(store.status().follow).toEqual({ state: 'following', lagMs: 0 });
    await inBack.setMany([
      ['a', 1],
      ['b', 1],
      ['gone', 1],
    ]);
    expect([...(await store.getMany(['a', 'b', 'gone'])).values()]).toEqual([1, 1, 1]);
    await inBack.set('a', 2);
    await inBack.batch([
      { type: 'set', key: 'b', value: 2, meta: { by: 'others' } },
      { type: 'delete', key: 'gone' },
      { type: 'set', key: 'unasked', value: 2 },
    ]);
    await settled();
    const reads = backPlan.calls('read');
    expect(await store.get('a')).toBe(2);
    expect(await store.getEntry('b')).toEqual(await inBack.getEntry('b'));
    expect(store.blocking.get('a')).toBe(2);
    // Refreshed in place, without a read of the back; what the front did not have, it does not get.
    expect(backPlan.calls('read')).toBe(reads);
    expect(await Array.fromAsync(inFront.keys())).toEqual(['a', 'b']);
    expect(await store.get('gone')).toBeUndefined();
  });

  it('keeps the copies of its own writes when the feed brings them back', async () => {
    const { store, inFront, backPlan, frontPlan } = world();
    await settled();
    for (let n = 1; n <= 50; n++) {
      await store.set('hot', n);
      const commits = frontPlan.calls('commit');
      if (n % 3 === 0) await settled();
      expect(frontPlan.calls('commit')).toBe(commits);
      expect(await inFront.get('hot')).toBe(n);
    }
    // An own write under way is overtaken by none of its forerunners.
    const [last] = await Promise.all([store.set('hot', 51), settled()]);
    await settled();
    const copy = await inFront.getEntry('hot');
    expect(copy?.origin?.version).toBe(last.version);
    expect(backPlan.calls('read')).toBe(0);
  });

  it('leaves no copy of a write that others overtook', async () => {
    const { store, inBack, inFront, backPlan, env } = world();
    await settled();
    backPlan.delay('commit', 100);
    backPlan.hangNext('commit', { applied: true });
    const writing = store.set('k', 'mine');
    await env.advance(100);
    await inBack.set('k', 'theirs');
    await settled();
    backPlan.release();
    await writing;
    expect(await inFront.get('k')).toBeUndefined();
    expect(await store.get('k')).toBe('theirs');
    expect(await inFront.get('k')).toBe('theirs');
  });

  it('keeps no answer of the back that is older than a change', async () => {
    const { store, inBack, inFront, backPlan } = world();
    await inBack.set('k', 'old');
    await settled();
    backPlan.hangNext('read', { applied: true });
    const reading = store.get('k');
    await settled();
    await inBack.set('k', 'new');
    await settled();
    // Nobody who asks now joins the read that began before.
    expect(await store.get('k')).toBe('new');
    backPlan.release();
    expect(await reading).toBe('old');
    expect(await store.get('k')).toBe('new');
    expect(await inFront.get('k')).not.toBe('old');
  });

  it('keeps a copy that is newer than what the feed tells', async () => {
    const { env, store, inBack, inFront, backPlan } = world();
    await inBack.set('k', 1);
    await settled();
    await store.get('k');
    backPlan.delay('feed', 500);
    for (const n of [2, 3]) await inBack.set('k', n);
    await store.set('k', 4);
    for (let ms = 0; ms < 6_000; ms += 100) {
      await env.advance(100);
      expect(await inFront.get('k')).toBe(4);
    }
    expect(await store.get('k')).toBe(4);
  });

  it('forgets that a key does not exist when somebody makes it', async () => {
    const { store, inBack } = world({ negativeTtlMs: 60_000 });
    await settled();
    expect(await store.get('k')).toBeUndefined();
    await inBack.set('k', 1);
    await settled();
    expect(await store.get('k')).toBe(1);
  });

  it('passes over reserved keys', async () => {
    const { env, store, inBack, inFront } = world();
    await settled();
    const call = Call.background(env, 'test');
    await primitivesOf(inBack).commit([{ type: 'set', key: '\u0000own', value: 1 }], call);
    await settled();
    expect(primitivesOf(inFront).readOne('\u0000own', call)).toBeUndefined();
    expect(store.status().follow).toEqual({ state: 'following', lagMs: 0 });
  });

  it('removes what was in the front before, which nobody vouches for', async () => {
    const env = simulatedEnv();
    const [front, back] = [memory({ env }), memory({ env })];
    {
      await using before = tiered({ front, back, closeParts: false });
      await before.set('k', 'old');
    }
    await back.set('k', 'new');
    const store = tiered({ front, back, follow: true });
    expect(await store.get('k')).toBe('new');
    await settled();
    expect(await store.get('k')).toBe('new');
  });

  it('written around, and read alone', async () => {
    const around = world({ write: 'around' });
    await settled();
    await around.store.set('k', 1);
    expect(await around.store.get('k')).toBe(1);
    await around.inBack.set('k', 2);
    await settled();
    expect(await around.inFront.get('k')).toBe(2);

    const alone = world({ read: 'front-only' });
    await alone.inBack.setMany([
      ['a', 1],
      ['b', 1],
    ]);
    await settled();
    // The front is a whole copy of the back.
    expect(await Array.fromAsync(alone.store.keys())).toEqual(['a', 'b']);
    await alone.inBack.batch([
      { type: 'set', key: 'c', value: 2 },
      { type: 'delete', key: 'a' },
    ]);
    await alone.store.set('d', 3);
    await settled();
    const reads = alone.backPlan.calls('read');
    expect(await Array.fromAsync(alone.store.keys())).toEqual(['b', 'c', 'd']);
    expect(await alone.store.get('c')).toBe(2);
    expect(await alone.store.get('a')).toBeUndefined();
    expect(alone.backPlan.calls('read')).toBe(reads);
  });

  it('works through layers and through another tiered store', async () => {
    const env = simulatedEnv();
    const bytes = memory<Uint8Array>({ env });
    const shared = encoded(bytes, { codec: json() });
    const [near, far] = [prefixed(shared, 'p/', { closeInner: false }), prefixed(shared, 'p/')];
    const inner = tiered({ front: memory({ env }), back: near, follow: true });
    const store = tiered({ front: memory({ env }), back: inner, follow: true });
    await settled();
    await far.set('k', 1);
    expect(await store.get('k')).toBe(1);
    await far.set('k', 2);
    await settled();
    expect(await store.get('k')).toBe(2);
    expect(await store.getEntry('k')).toEqual(await far.getEntry('k'));
    await far.delete('k');
    await settled();
    expect(await store.get('k')).toBeUndefined();
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });
});

describe('a watch of the tiered store', () => {
  it('tells of no commit before the front has it', async () => {
    const { env, store, inBack, backPlan } = world();
    await inBack.set('k', 0);
    await store.get('k');
    await settled();
    let told = 0;
    let after = await store.cursor();
    const follow = async (): Promise<void> => {
      for await (const { writes, cursor } of store.watch({ after })) {
        after = cursor;
        for (const write of writes) {
          if (write.type !== 'set') continue;
          told = write.value as number;
          expect(store.blocking.get('k')).toBeGreaterThanOrEqual(told);
          expect(await store.get('k')).toBeGreaterThanOrEqual(told);
        }
        if (told === 30) return;
      }
    };
    const again = (error: unknown): Promise<void> => {
      expect(error).toMatchObject({ code: 'unavailable' });
      return follow().catch(again);
    };
    const watching = follow().catch(again);
    await settled();
    for (let n = 1; n <= 30; n++) {
      await inBack.set('k', n);
      // The follower stumbles now and then: the watch waits for it.
      if (n % 7 === 0) backPlan.failNext('feed');
      if (n % 5 === 0) await env.advance(40);
    }
    await env.advance(10_000);
    await watching;
    expect(told).toBe(30);
  });

  it('waits for a follower whose wait hangs no longer than it takes to read', async () => {
    const { env, store, inBack, backPlan } = world();
    await inBack.set('k', 0);
    await settled();
    await store.get('k');
    // At its next beat the follower reads, and then hangs.
    backPlan.hangNext('feed', { after: 1 });
    await env.advance(1_000);
    expect(backPlan.hanging).toBe(1);
    const watch = store.watch()[Symbol.asyncIterator]();
    const next = watch.next();
    await settled();
    await inBack.set('k', 1);
    await env.advance(1);
    expect(((await next).value as { writes: unknown[] }).writes).toMatchObject([{ value: 1 }]);
    expect(store.blocking.get('k')).toBe(1);
  });
});

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
