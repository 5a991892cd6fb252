/** Warmings that are cut off, that go on, and that have much to do. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../../test/support/late-store.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { fill, keysOf, NOTHING, warmWorld } from '../../../../test/support/warm-world.ts';
import { lru } from '../../../drivers/lru/index.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { defineStore } from '../../../store/define-store.ts';
import type { StrataError } from '../../../store/errors.ts';
import { primitivesOf } from '../../../store/internals.ts';
import type { Primitives } from '../../../store/primitives.ts';
import { settled } from '../../../testing/settled.ts';
import { copyKeys, warm } from './index.ts';
import type { WarmProgress } from './options.ts';

describe('a warming that is ended', () => {
  it('by its signal tells how far it came, and goes on from there', async () => {
    const { inFront, inBack } = warmWorld();
    const keys = await fill(inBack, 1_000);
    const told: WarmProgress[] = [];
    const aborting = new AbortController();
    const options = { batchKeys: 50, concurrency: 3 };
    const warming = warm(inFront, lateStore(inBack), {
      ...options,
      signal: aborting.signal,
      onProgress: (progress) => {
        told.push(progress);
        if (told.length === 5) aborting.abort();
      },
    });
    const error = (await warming.catch((failed) => failed)) as StrataError;
    expect(error).toMatchObject({ code: 'aborted', operation: 'warm' });
    const progress = error.details?.progress as WarmProgress;
    expect(progress.after).toBe('k000249');
    expect(progress.copied).toBeGreaterThanOrEqual(250);
    const there = await keysOf(inFront);
    expect(there.length).toBe(progress.copied);
    expect(there.slice(0, 250)).toEqual(keys.slice(0, 250));
    await settled();
    expect(await keysOf(inFront)).toEqual(there);
    const rest = await warm(inFront, inBack, { ...options, after: progress.after as string });
    expect(rest.copied + there.length).toBe(1_000);
    expect(await keysOf(inFront)).toEqual(keys);
  });

  it('by its signal before it begins does nothing', async () => {
    const { inFront, inBack, backPlan, back } = warmWorld();
    await fill(inBack, 3);
    const signal = AbortSignal.abort();
    expect(await codeOf(warm(inFront, back, { signal }))).toBe('aborted');
    expect(await codeOf(copyKeys(back, inFront, ['k000000'], { signal }))).toBe('aborted');
    expect(backPlan.calls('scan') + backPlan.calls('read')).toBe(0);
    expect(await keysOf(inFront)).toEqual([]);
  });

  it('by its timeout lets go of everything', async () => {
    const { env, inFront, inBack, backPlan, back } = warmWorld();
    await fill(inBack, 10);
    backPlan.hangNext('read', { after: 1 });
    const warming = codeOf(warm(inFront, back, { batchKeys: 2, timeoutMs: 300 }));
    await env.advance(300);
    expect(await warming).toBe('timeout');
    backPlan.release();
    await settled();
    expect(env.pendingTimers).toBe(0);
  });

  it('by a part that hangs takes no longer than a call of that part', async () => {
    for (const what of ['scan', 'read', 'commit'] as const) {
      const { env, inBack, inFront, frontPlan, backPlan, front, back } = warmWorld();
      await fill(inBack, 10);
      (what === 'commit' ? frontPlan : backPlan).hangNext(what);
      const warming = codeOf(warm(front, back));
      await env.advance(5_000);
      expect(await warming).toBe(what === 'commit' ? 'timeout' : 'timeout');
      frontPlan.release();
      backPlan.release();
      await settled();
      expect(env.pendingTimers).toBe(0);
      expect(await keysOf(inFront)).toEqual([]);
    }
  });

  it('by a back that fails midway keeps what it has, and can go on', async () => {
    for (const strategy of ['fill-missing', 'mirror'] as const) {
      const { inFront, inBack, backPlan, back } = warmWorld();
      const keys = await fill(inBack, 100);
      await inFront.set('k000050x', 'extra');
      backPlan.failNext('read', 'unavailable', { after: 4 });
      const options = { strategy, batchKeys: 10, concurrency: 2 } as const;
      const error = (await warm(inFront, back, options).catch((failed) => failed)) as StrataError;
      expect(error).toMatchObject({ code: 'unavailable', retryable: true, operation: 'warm' });
      const progress = error.details?.progress as WarmProgress;
      expect(progress.after).toBe('k000039');
      const there = (await keysOf(inFront)).filter((key) => key !== 'k000050x');
      expect(progress.copied).toBe(there.length);
      const rest = await warm(inFront, back, { ...options, after: 'k000039' });
      expect(progress.removed + rest.removed).toBe(strategy === 'mirror' ? 1 : 0);
      const extra = strategy === 'mirror' ? [] : ['k000050x'];
      expect(new Set(await keysOf(inFront))).toEqual(new Set([...keys, ...extra]));
    }
  });

  it('by what onProgress throws', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 10);
    const onProgress = (): void => {
      throw new Error('enough');
    };
    await expect(warm(inFront, inBack, { batchKeys: 2, onProgress })).rejects.toThrow('enough');
  });

  it('by a front that does not take copies', async () => {
    const { inBack, frontPlan, front } = warmWorld();
    await fill(inBack, 10);
    frontPlan.failNext('commit', 'no-space');
    expect(await codeOf(warm(front, inBack))).toBe('no-space');
  });
});

describe('keys to copy', () => {
  it('may come one by one, for ever, until the signal', async () => {
    const { inFront, inBack } = warmWorld();
    const keys = await fill(inBack, 20);
    const aborting = new AbortController();
    async function* endless(): AsyncGenerator<string> {
      yield* keys;
      await new Promise(() => {});
    }
    const copying = codeOf(
      copyKeys(inBack, inFront, endless(), { batchKeys: 10, signal: aborting.signal }),
    );
    await settled();
    aborting.abort();
    expect(await copying).toBe('aborted');
    expect((await keysOf(inFront)).length).toBeGreaterThanOrEqual(10);
  });

  it('replace what differs and leave what is current', async () => {
    const { inFront, inBack } = warmWorld();
    const keys = await fill(inBack, 3);
    await copyKeys(inBack, inFront, keys);
    await inBack.set('k000001', 'new');
    await inFront.set('k000002', 'own');
    expect(await copyKeys(inBack, inFront, new Set(keys))).toEqual({
      ...NOTHING,
      copied: 2,
      skipped: 1,
    });
    expect(await inFront.getMany(keys)).toEqual(await inBack.getMany(keys));
  });
});

describe('many keys', () => {
  it('100,000 are copied holding no more than the batches allow', async () => {
    const { inFront, inBack } = warmWorld();
    const keys = await fill(inBack, 100_000);
    const [front, back] = [primitivesOf(inFront), primitivesOf(inBack)];
    let held = 0;
    let most = 0;
    let listed = 0;
    let furthest = 0;
    let done = 0;
    const counted = defineStore({
      ...back,
      async readMany(asked, call) {
        held += asked.length;
        most = Math.max(most, held);
        await undefined;
        return back.readMany(asked, call);
      },
      async *scanKeys(range, call) {
        for await (const page of back.scanKeys(range, call)) {
          listed += page.length;
          furthest = Math.max(furthest, listed - done);
          yield page;
        }
      },
    } as Primitives<unknown>);
    const taking = defineStore({
      ...front,
      async commit(writes, call) {
        await undefined;
        held -= writes.length;
        done += writes.length;
        return front.commit(writes, call);
      },
    } as Primitives<unknown>);
    const progress = await warm(taking, counted, { batchKeys: 100, concurrency: 4 });
    expect(progress.copied).toBe(100_000);
    expect(most).toBeLessThanOrEqual(400);
    expect(furthest).toBeLessThanOrEqual(1_500);
    expect((await keysOf(inFront)).length).toBe(keys.length);
  }, 60_000);

  it('into a front that evicts leave it full', async () => {
    const { env, inBack } = warmWorld();
    await fill(inBack, 1_000);
    const front = memory<unknown>({ env, evict: lru({ maxEntries: 100 }) });
    expect((await warm(front, inBack, { concurrency: 1 })).copied).toBe(1_000);
    expect((await keysOf(front)).length).toBe(100);
  });

  it('that are there already are passed over with their progress', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 2_000);
    await warm(inFront, inBack);
    const told: WarmProgress[] = [];
    await warm(inFront, inBack, { batchKeys: 10, onProgress: (one) => told.push(one) });
    expect(told.length).toBe(4);
    expect(told[0]).toEqual({ ...NOTHING, skipped: 640, after: 'k000639' });
    expect(told.at(-1)?.skipped).toBe(2_000);
  });
});
