/** A front that follows the feed of its back, in simulated time. */
import { describe, expect, it } from 'vitest';
import { followWorld as world } from '../../../test/support/follow-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { encoded } from '../../layers/encoded/index.ts';
import { prefixed } from '../../layers/prefixed.ts';
import { Call } from '../../store/call.ts';
import { json } from '../../store/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { tiered } from './index.ts';

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

  it('refreshes a copy that is on its way to the front', async () => {
    const { env, store, inBack, inFront, frontPlan } = world();
    await inBack.setMany([
      ['k', 'old'],
      ['other', 1],
    ]);
    await settled();
    await store.get('other');
    frontPlan.delay('commit', 50);
    expect(await store.get('k')).toBe('old');
    await inBack.set('k', 'new');
    await env.advance(200);
    expect(await inFront.get('k')).not.toBe('old');
    expect(await store.get('k')).toBe('new');
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
