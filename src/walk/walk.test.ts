import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import type { Entry, ReadonlyStore, StoreWithBlocking } from '../index.ts';
import { readonly } from '../layers/readonly.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import { fromKeySet, type Walker, type WalkOptions, type WalkProgress, walk } from './index.ts';

type Node = readonly string[];

/** A store of nodes: each value is the list of the keys that it points to. */
function graph(nodes: Readonly<Record<string, Node>>): StoreWithBlocking<Node> {
  const store = memory<Node>({ env: simulatedEnv() });
  for (const [key, links] of Object.entries(nodes)) store.blocking.set(key, links);
  return store;
}

const links: Walker<Node> = (_, value) => value;
const rootsLast: WalkOptions<Node> = { order: 'roots-last' };

async function keysOf<V>(walked: AsyncIterable<Entry<V>>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of walked) keys.push(key);
  return keys;
}

async function failureOf(walked: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of walked);
  } catch (error) {
    return error;
  }
  throw new Error('the walk did not fail');
}

const tree = { root: ['a', 'b'], a: ['c', 'd'], b: ['d'], c: [], d: ['e'], e: [], orphan: ['e'] };

describe('walk', () => {
  it('gives what is reachable, each key once, nearest first', async () => {
    expect(await keysOf(walk(graph(tree), ['root'], links))).toEqual([
      'root',
      'a',
      'b',
      'c',
      'd',
      'e',
    ]);
  });

  it('gives dependencies before what points to them, when asked to', async () => {
    expect(await keysOf(walk(graph(tree), ['root'], links, rootsLast))).toEqual([
      'c',
      'e',
      'd',
      'a',
      'b',
      'root',
    ]);
  });

  it('gives whole entries, also of a store that can only be read', async () => {
    const store: ReadonlyStore<Node> = readonly(graph({ r: ['x'], x: [] }));
    const [first] = await Array.fromAsync(walk(store, ['r'], links));
    expect(first).toEqual(await store.getEntry('r'));
  });

  it('ends where entries point in circles', async () => {
    const store = graph({ a: ['b', 'a'], b: ['c'], c: ['a'] });
    expect(await keysOf(walk(store, ['a'], links))).toEqual(['a', 'b', 'c']);
    expect(await keysOf(walk(store, ['a'], links, rootsLast))).toEqual(['c', 'b', 'a']);
  });

  it('does not follow what is pruned, and gives it', async () => {
    const prune = async (key: string): Promise<boolean> => key === 'a';
    expect(await keysOf(walk(graph(tree), ['root'], links, { prune }))).toEqual([
      'root',
      'a',
      'b',
      'd',
      'e',
    ]);
  });

  it('keeps all roots for the end, in the order of their dependencies', async () => {
    const store = graph({ r1: ['r2', 'x'], r2: ['y'], r3: ['r1'], x: [], y: [] });
    expect(await keysOf(walk(store, ['r1', 'r2', 'r3'], links, rootsLast))).toEqual([
      'y',
      'x',
      'r2',
      'r1',
      'r3',
    ]);
  });

  it('gives a root earlier that something other than a root points to', async () => {
    const store = graph({ r1: ['x'], r2: ['y'], r3: ['m'], m: ['r1'], x: ['r2'], y: [] });
    expect(await keysOf(walk(store, ['r1', 'r2', 'r3'], links, rootsLast))).toEqual([
      'y',
      'r2',
      'x',
      'r1',
      'm',
      'r3',
    ]);
  });

  it('takes roots from a function, sync or not, and from an async iterable', async () => {
    const store = graph({ a: [], b: [] });
    expect(await keysOf(walk(store, () => ['b', 'a', 'b'], links))).toEqual(['b', 'a']);
    expect(await keysOf(walk(store, async () => new Set(['a']), links))).toEqual(['a']);
    expect(await keysOf(walk(store, () => store.keys(), links))).toEqual(['a', 'b']);
    expect(await keysOf(walk(store, [], links))).toEqual([]);
  });

  it('asks a discovery of key sets for roots only', async () => {
    const asked: string[] = [];
    const walker = fromKeySet<Node>(async (value, key) => {
      asked.push(key);
      return new Set(value);
    });
    const store = graph({ r1: ['a', 'b', 'r2'], r2: ['b', 'c'], a: ['x'], b: [], c: [] });
    for (const order of ['roots-first', 'roots-last'] as const) {
      const keys = await keysOf(walk(store, ['r1', 'r2'], walker, { order }));
      expect(keys.toSorted()).toEqual(['a', 'b', 'c', 'r1', 'r2']);
    }
    expect(asked).toEqual(['r1', 'r2', 'r1', 'r2']);
  });
});

describe('a walk that meets trouble', () => {
  const torn = { root: ['a', 'gone'], a: ['lost'] };

  it.each(['roots-first', 'roots-last'] as const)('fails with data-missing, %s', async (order) => {
    const error = await failureOf(
      walk(graph({ root: ['a', 'gone'], a: [] }), ['root'], links, { order }),
    );
    expect(error).toMatchObject({ code: 'data-missing', key: 'gone', details: { from: 'root' } });
    const noRoot = await failureOf(walk(graph({}), ['root'], links, { order }));
    expect(noRoot).toMatchObject({ code: 'data-missing', key: 'root' });
  });

  it.each(['roots-first', 'roots-last'] as const)('reports what is missing, %s', async (order) => {
    const missing: unknown[] = [];
    const onMissing = (key: string, from: string | undefined) => missing.push([key, from]);
    const walked = walk(graph(torn), ['root', 'nowhere'], links, { order, onMissing });
    expect((await keysOf(walked)).toSorted()).toEqual(['a', 'root']);
    expect(missing.toSorted()).toEqual([
      ['gone', 'root'],
      ['lost', 'a'],
      ['nowhere', undefined],
    ]);
  });

  it('names the entry that the walker failed for', async () => {
    const broken: Walker<Node> = (key, value) => {
      if (key === 'a') throw new RangeError('what is this?');
      return value;
    };
    expect(await failureOf(walk(graph(tree), ['root'], broken))).toMatchObject({
      code: 'invalid-argument',
      operation: 'walk',
      key: 'a',
      cause: expect.any(RangeError),
    });
  });

  it.each([
    ['a string', (() => 'a') as Walker<Node>],
    ['nothing', (() => undefined) as unknown as Walker<Node>],
    ['an empty key', () => ['']],
    ['a number', () => [1] as unknown as string[]],
    ['a reserved key', () => ['\u0000x']],
  ])('refuses a walker that gives %s', async (_, walker: Walker<Node>) => {
    expect(await failureOf(walk(graph(tree), ['root'], walker))).toMatchObject({
      code: 'invalid-argument',
      key: 'root',
    });
  });

  it('refuses wrong arguments at once', () => {
    const store = graph({});
    const wrong: (() => unknown)[] = [
      () => walk(store, 'root', links),
      () => walk(store, 5 as never, links),
      () => walk(store, ['a'], ['b'] as never),
      () => walk(store, ['a'], links, { order: 'random' as never }),
      () => walk(store, ['a'], links, { concurrency: 0 }),
      () => walk(store, ['a'], links, { onmissing: () => {} } as never),
      () => walk({} as never, ['a'], links),
    ];
    for (const call of wrong)
      expect(call).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it.each(['roots-first', 'roots-last'] as const)(
    'gives nothing after an abort, %s',
    async (order) => {
      const controller = new AbortController();
      const given: string[] = [];
      const walked = walk(graph({ r: ['x'], x: [] }), ['r'], links, {
        order,
        signal: controller.signal,
      });
      const failed = (async () => {
        for await (const { key } of walked) {
          given.push(key);
          controller.abort(new Error('enough'));
        }
      })();
      await expect(failed).rejects.toMatchObject({ code: 'aborted', operation: 'walk' });
      expect(given).toHaveLength(1);
    },
  );

  it('ends a read that hangs, and a walker that does', async () => {
    const env = simulatedEnv();
    const plan = new FaultPlan();
    const store = faulty(memory<Node>({ env }), plan);
    await store.set('r', []);
    plan.hangNext('read');
    const hanging = failureOf(walk(store, ['r'], links, { timeoutMs: 50 }));
    await env.advance(50);
    expect(await hanging).toMatchObject({ code: 'timeout' });
    plan.heal();
    const never: Walker<Node> = async function* () {
      await new Promise(() => {});
    };
    const stuck = failureOf(walk(store, ['r'], never));
    await env.advance(5_000);
    expect(await stuck).toMatchObject({ code: 'timeout', key: 'r' });
  });

  it('fails as the store does when that is closed', async () => {
    const store = graph(tree);
    await store.close();
    expect(await failureOf(walk(store, ['root'], links))).toMatchObject({ code: 'closed' });
  });

  it('leaves nothing behind when it is left half way', async () => {
    const env = simulatedEnv();
    const store = memory<Node>({ env });
    for (const [key, node] of Object.entries(tree)) store.blocking.set(key, node);
    const plan = new FaultPlan();
    const before = env.pendingTimers;
    for (const order of ['roots-first', 'roots-last'] as const) {
      plan.hangNext('read', { after: 1 });
      const steps = walk(faulty(store, plan), ['root', 'orphan'], links, { order, batchKeys: 1 })[
        Symbol.asyncIterator
      ]();
      const first = steps.next();
      while (plan.hanging === 0) await env.advance(0);
      await steps.return?.();
      await first;
      expect(env.pendingTimers).toBe(before);
      plan.heal();
    }
  });

  it('passes on what a read fails with', async () => {
    const plan = new FaultPlan().failNext('read', 'unavailable', { after: 1 });
    const store = faulty(graph(tree), plan);
    expect(await failureOf(walk(store, ['root'], links))).toMatchObject({ code: 'unavailable' });
  });
});

describe('what a walk costs', () => {
  const wide = Object.fromEntries(
    Array.from({ length: 200 }, (_, at): [string, Node] => [`leaf${at}`, []]),
  );
  const store = () => graph({ root: Object.keys(wide), ...wide });

  it.each(['roots-first', 'roots-last'] as const)('reads in batches, %s', async (order) => {
    const plan = new FaultPlan();
    const walked = walk(faulty(store(), plan), ['root'], links, { order, batchKeys: 50 });
    expect(await keysOf(walked)).toHaveLength(201);
    expect(plan.calls('read')).toBe(5);
  });

  it('reports its progress', async () => {
    const told: WalkProgress[] = [];
    const onProgress = (progress: WalkProgress) => told.push(progress);
    await keysOf(walk(store(), ['root'], links, { onProgress, batchKeys: 100 }));
    expect(told).toEqual([
      { entries: 100, keys: 201, missing: 0 },
      { entries: 200, keys: 201, missing: 0 },
      { entries: 201, keys: 201, missing: 0 },
    ]);
  });

  it.each(['roots-first', 'roots-last'] as const)(
    'never has more batches under way than asked, %s',
    async (order) => {
      let most = 0;
      let now = 0;
      const slow: Walker<Node> = async function* (_, value) {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        yield* value;
      };
      await keysOf(walk(store(), ['root'], slow, { order, concurrency: 3, batchKeys: 10 }));
      expect(most).toBe(3);
    },
  );
});
