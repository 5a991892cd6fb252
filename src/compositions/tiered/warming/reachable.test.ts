/** Copies of what is reachable: dependencies before what points to them. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { keysOf, NOTHING, warmWorld } from '../../../../test/support/warm-world.ts';
import type { StrataError } from '../../../store/errors.ts';
import type { Store } from '../../../store/store.ts';
import { settled } from '../../../testing/settled.ts';
import { fromKeySet, type Walker } from '../../../walk/index.ts';
import { tiered } from '../index.ts';
import { warmReachable } from './index.ts';
import type { WarmProgress } from './options.ts';

type Node = readonly string[];
const links: Walker<Node> = (_, value) => value;

/** Notes when the front holds something that points to what it does not hold; gives that at its end. */
async function watchWhole(front: Store<Node>, back: Store<Node>): Promise<() => Promise<string[]>> {
  const commits = front.watch({ after: 'start' })[Symbol.asyncIterator]();
  const held = new Map<string, Node>();
  const broken: string[] = [];
  const watching = (async () => {
    for (;;) {
      const { done, value } = await commits.next();
      if (done === true) return;
      for (const write of value.writes) {
        if (write.type === 'set') held.set(write.key, write.value);
        else held.delete(write.key);
      }
      for (const [key, node] of held)
        for (const link of node)
          if (!held.has(link) && (await back.has(link))) broken.push(`${key} without ${link}`);
    }
  })();
  return async () => {
    await settled();
    await commits.return?.();
    await watching.catch(() => undefined);
    return broken;
  };
}

describe('what is reachable', () => {
  it('is copied in such an order that nothing stands without what it points to', async () => {
    const node = fc.array(
      fc.integer({ min: 0, max: 14 }).map((n) => `n${n}`),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(node, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        async (nodes, batchKeys) => {
          const { inFront, inBack } = warmWorld<Node>();
          // Links go forward only: no cycles, which no order could satisfy.
          for (const [i, all] of nodes.entries())
            await inBack.set(
              `n${i}`,
              all.filter((link) => Number(link.slice(1)) > i),
            );
          await inBack.set('unreachable', []);
          const done = await watchWhole(inFront, inBack);
          const progress = await warmReachable(inFront, inBack, ['n0'], links, { batchKeys });
          expect(await done()).toEqual([]);
          const reachable = new Set(['n0']);
          for (const key of reachable)
            for (const link of (await inBack.get(key)) ?? []) reachable.add(link);
          const there = [];
          for (const key of reachable) if (await inBack.has(key)) there.push(key);
          expect(new Set(await keysOf(inFront))).toEqual(new Set(there));
          expect(progress).toEqual({
            ...NOTHING,
            copied: there.length,
            missing: reachable.size - there.length,
          });
          const again = await warmReachable(inFront, inBack, ['n0'], links, { batchKeys });
          expect(again).toMatchObject({ copied: 0, skipped: there.length });
        },
      ),
      { numRuns: 150 },
    );
  });

  it('ends in cycles, and may have many roots given in any way', async () => {
    const { inFront, inBack } = warmWorld<Node>();
    await inBack.setMany([
      ['a', ['b']],
      ['b', ['a', 'c']],
      ['c', ['c']],
      ['d', []],
    ]);
    const roots = async function* (): AsyncGenerator<string> {
      yield* ['a', 'd', 'a'];
    };
    const progress = await warmReachable(inFront, inBack, roots, links);
    expect(progress).toEqual({ ...NOTHING, copied: 4 });
  });

  it('may be told by the roots alone', async () => {
    const { inFront, inBack } = warmWorld<Node>();
    await inBack.setMany([
      ['index', ['a', 'b']],
      ['a', ['never asked']],
      ['b', []],
    ]);
    const walker = fromKeySet<Node>((value) => value);
    await warmReachable(inFront, inBack, ['index'], walker);
    expect(await keysOf(inFront)).toEqual(['a', 'b', 'index']);
  });

  it('is copied as it changes: a root only in a version whose links were followed', async () => {
    for (const live of [false, true]) {
      const { inFront, inBack, front, back, backPlan } = warmWorld<Node>();
      const store = live ? tiered({ front, back }) : undefined;
      await inBack.setMany([
        ['root', ['a']],
        ['a', []],
      ]);
      const whole = await watchWhole(inFront, inBack);
      // The walk has read both when others move the root to something new.
      backPlan.hangNext('read', { after: live ? 3 : 2 });
      const warming = warmReachable(front, back, ['root'], links);
      while (backPlan.hanging === 0) await settled();
      await inBack.setMany([
        ['b', ['c']],
        ['c', []],
        ['root', ['b']],
      ]);
      backPlan.release();
      await warming;
      // Beside an open store, what others write in this very moment may stand for a moment alone.
      const broken = await whole();
      if (!live) expect(broken).toEqual([]);
      expect(await inFront.get('root')).toEqual(['b']);
      expect(await inFront.getMany(['b', 'c'])).toEqual(await inBack.getMany(['b', 'c']));
      await store?.close();
    }
  });

  it('is left out where it keeps changing', async () => {
    const { inFront, inBack } = warmWorld<Node>();
    await inBack.setMany([
      ['root', ['a']],
      ['a', []],
    ]);
    let changes = 0;
    const restless: Walker<Node> = async function* (key, value) {
      if (key === 'root') await inBack.set('root', ['a', `${++changes}`]);
      yield* value.filter((link) => link === 'a');
    };
    const progress = await warmReachable(inFront, inBack, ['root'], restless);
    expect(progress).toEqual({ ...NOTHING, copied: 1, skipped: 1 });
    expect(await keysOf(inFront)).toEqual(['a']);
  });
});

describe('a walk that cannot go on', () => {
  it('tells how far it came', async () => {
    const { inFront, inBack, backPlan, back } = warmWorld<Node>();
    const nodes = Array.from({ length: 40 }, (_, i) => [`n${i}`, i < 39 ? [`n${i + 1}`] : []]);
    await inBack.setMany(nodes as [string, Node][]);
    backPlan.failNext('read', 'unavailable', { after: 45 });
    const options = { batchKeys: 4, concurrency: 2 };
    const error = (await warmReachable(inFront, back, ['n0'], links, options).catch(
      (failed) => failed,
    )) as StrataError;
    expect(error).toMatchObject({ code: 'unavailable', operation: 'warmReachable' });
    const { copied } = (error.details as { progress: WarmProgress }).progress;
    expect((await keysOf(inFront)).length).toBe(copied);
    const rest = await warmReachable(inFront, back, ['n0'], links, options);
    expect(rest.copied + copied).toBe(40);
  });

  it('ends by its signal and its timeout', async () => {
    const { env, inFront, inBack, backPlan, back } = warmWorld<Node>();
    await inBack.set('root', []);
    const aborting = new AbortController();
    backPlan.hangNext('read', { times: 2 });
    const aborted = codeOf(
      warmReachable(inFront, back, ['root'], links, { signal: aborting.signal }),
    );
    await settled();
    aborting.abort();
    expect(await aborted).toBe('aborted');
    const late = codeOf(warmReachable(inFront, back, ['root'], links, { timeoutMs: 100 }));
    await env.advance(100);
    expect(await late).toBe('timeout');
    backPlan.heal();
    await settled();
    expect(env.pendingTimers).toBe(0);
  });

  it('says what is wrong with the walker or the roots', async () => {
    const { inFront, inBack } = warmWorld<Node>();
    await inBack.set('root', []);
    const walkers = [undefined, 5, () => 5, () => ['']] as never[];
    for (const walker of walkers)
      expect(await codeOf(warmReachable(inFront, inBack, ['root'], walker))).toBe(
        'invalid-argument',
      );
    for (const roots of ['root', undefined, 5] as never[])
      expect(await codeOf(warmReachable(inFront, inBack, roots, links))).toBe('invalid-argument');
    expect(await keysOf(inFront)).toEqual([]);
  });
});
