import { describe, expect, it } from 'vitest';
import { graph, HOUR_MS, keysOf, links, type Node, torn } from '../../test/support/old-graph.ts';
import { memory } from '../drivers/memory/index.ts';
import { prefixed, type StoreWithBlocking } from '../index.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { fromKeySet, type SweepOptions, type SweepProgress, sweep, type Walker } from './index.ts';

describe('sweep', () => {
  it('removes what is old and not reachable, and counts', async () => {
    const { store } = await graph(torn);
    const swept: string[] = [];
    const onSwept = (key: string) => swept.push(key);
    const done = await sweep(store, ['root'], links, { olderThanMs: HOUR_MS, onSwept });
    expect(done).toEqual({ examined: 7, kept: 4, swept: 3, tooYoung: 0, changed: 0 });
    expect(keysOf(store)).toEqual(['a', 'b', 'c', 'root']);
    expect(swept).toEqual(['x', 'y', 'z']);
  });

  it('leaves what is too young, with all that it points to', async () => {
    const { env, store } = await graph({ ...torn, o: [] });
    store.blocking.set('young', ['x']);
    await env.advance(HOUR_MS - 1);
    const done = await sweep(store, ['root'], links, { olderThanMs: HOUR_MS });
    expect(done).toEqual({ examined: 9, kept: 6, swept: 2, tooYoung: 1, changed: 0 });
    expect(keysOf(store)).toEqual(['a', 'b', 'c', 'root', 'x', 'y', 'young']);
    await env.advance(1);
    await sweep(store, ['root'], links, { olderThanMs: HOUR_MS });
    expect(keysOf(store)).toEqual(['a', 'b', 'c', 'root']);
  });

  it('takes a date, a time, or a cursor that was noted', async () => {
    const { env, store } = await graph({ root: [], x: [] });
    const at = env.now();
    const noted = await store.cursor();
    store.blocking.set('y', []);
    await env.advance(1);
    const limits = [at - 2 * HOUR_MS, new Date(at - 2 * HOUR_MS)];
    for (const olderThan of limits)
      expect(await sweep(store, ['root'], links, { olderThan })).toMatchObject({ swept: 0 });
    await sweep(store, ['root'], links, { olderThan: noted });
    expect(keysOf(store)).toEqual(['root', 'y']);
    await sweep(store, ['root'], links, { olderThan: at });
    expect(keysOf(store)).toEqual(['root', 'y']);
    await sweep(store, ['root'], links, { olderThan: new Date(at + 1) });
    expect(keysOf(store)).toEqual(['root']);
    const other = await memory().cursor();
    await expect(sweep(store, ['root'], links, { olderThan: other })).rejects.toMatchObject({
      code: 'cursor-expired',
    });
  });

  it('looks at a prefix only, and finds roots outside of it', async () => {
    const { store } = await graph({
      ref: ['b:1'],
      'b:1': ['b:2'],
      'b:2': [],
      'b:3': [],
      other: [],
    });
    const done = await sweep(store, ['ref'], links, { olderThanMs: 0, prefix: 'b:' });
    expect(done).toMatchObject({ examined: 3, kept: 2, swept: 1 });
    expect(keysOf(store)).toEqual(['b:1', 'b:2', 'other', 'ref']);
  });

  it('works on a view of a store', async () => {
    const { store } = await graph({ 'v:root': ['a'], 'v:a': [], 'v:x': [], out: [] });
    await sweep(prefixed(store, 'v:'), ['root'], links, { olderThanMs: 0 });
    expect(keysOf(store)).toEqual(['out', 'v:a', 'v:root']);
  });

  it('keeps what it is told to keep, with all that it points to', async () => {
    const { store } = await graph(torn);
    const keep = async (key: string): Promise<boolean> => key === 'x';
    const done = await sweep(store, ['root'], links, { olderThanMs: 0, keep });
    expect(done).toMatchObject({ kept: 6, swept: 1 });
    expect(keysOf(store)).toEqual(['a', 'b', 'c', 'root', 'x', 'y']);
  });

  it('removes nothing in a dry run, and tells what it would', async () => {
    const { store } = await graph(torn);
    const swept: string[] = [];
    const onSwept = (key: string) => swept.push(key);
    const done = await sweep(store, ['root'], links, { olderThanMs: 0, dryRun: true, onSwept });
    expect(done).toMatchObject({ swept: 3 });
    expect(swept).toEqual(['x', 'y', 'z']);
    expect(keysOf(store)).toHaveLength(7);
  });

  it('removes in batches, and asks for the roots again before each', async () => {
    const old = Object.fromEntries(
      Array.from({ length: 1_200 }, (_, at): [string, Node] => [`old${at}`, []]),
    );
    const { store } = await graph({ root: [], ...old });
    const plan = new FaultPlan();
    let asked = 0;
    const roots = () => {
      asked++;
      return ['root'];
    };
    const told: SweepProgress[] = [];
    const onProgress = (progress: SweepProgress) => told.push(progress);
    const done = await sweep(faulty(store, plan), roots, links, { olderThanMs: 0, onProgress });
    expect(done.swept).toBe(1_200);
    expect(plan.calls('commit')).toBe(3);
    expect(asked).toBe(4);
    expect(told.at(-1)).toEqual({ phase: 'sweep', marked: 1, ...done });
  });

  it('ends with a discovery of key sets', async () => {
    const { store } = await graph({
      r1: ['a', 'b', 'r2'],
      r2: ['c'],
      a: ['x'],
      b: [],
      c: [],
      x: [],
    });
    const walker = fromKeySet<Node>((value) => value);
    await sweep(store, ['r1', 'r2'], walker, { olderThanMs: 0 });
    expect(keysOf(store)).toEqual(['a', 'b', 'c', 'r1', 'r2']);
  });
});

describe('a sweep among writers', () => {
  /** Sweeps, and lets others write in between: once, just as the given call of the store begins. */
  async function sweepWhile(
    nodes: Readonly<Record<string, Node>>,
    when: { readonly scans: number },
    others: (store: StoreWithBlocking<Node>) => unknown,
    options: Partial<SweepOptions<Node>> = {},
  ): Promise<[string[], unknown]> {
    const { store } = await graph(nodes);
    let scans = 0;
    const keep = async (): Promise<boolean> => {
      if (++scans === when.scans) await others(store);
      return false;
    };
    const done = await sweep(store, ['root', 'other'], links, { olderThanMs: 0, keep, ...options });
    return [keysOf(store), done];
  }
  /** Entries are shown to `keep` twice: as the marks are made, and as they are about to go. */
  const first = { scans: 1 };
  const second = { scans: 3 };

  it.each([first, second])('leaves what is written again meanwhile, %j', async (when) => {
    const [keys, done] = await sweepWhile({ root: [], other: [], x: [], y: [] }, when, (store) =>
      store.set('y', []),
    );
    expect(keys).toEqual(['other', 'root', 'y']);
    expect(done).toMatchObject({ swept: 1, tooYoung: 1 });
  });

  it.each([first, second])('leaves what is new, and what that points to, %j', async (when) => {
    const [keys] = await sweepWhile(
      { root: [], other: [], x: ['y'], y: [], z: [] },
      when,
      (store) => store.set('new', ['x']),
    );
    expect(keys).toEqual(['new', 'other', 'root', 'x', 'y']);
  });

  it.each([first, second])('leaves what is moved from one root to another, %j', async (when) => {
    // Marked before the move, the one did not have it yet; marked after it, the other has it no more.
    const { store } = await graph({ root: [], other: ['c'], c: ['d'], d: [], x: [], y: [] });
    const plan = new FaultPlan();
    let shown = 0;
    const walker: Walker<Node> = async function* (key, value) {
      if (key === 'root' && shown++ === 0) {
        await store.batch([
          { type: 'set', key: 'root', value: ['c'] },
          { type: 'set', key: 'other', value: [] },
        ]);
      }
      yield* value;
    };
    await sweep(faulty(store, plan), ['root', 'other'], walker, {
      olderThanMs: 0,
      batchKeys: 1,
      concurrency: when.scans,
    });
    expect(keysOf(store)).toEqual(['c', 'd', 'other', 'root']);
  });

  it('leaves what is moved on while it catches up with a move', async () => {
    const { store } = await graph({ root: [], other: ['e'], third: [], e: ['f'], f: [], x: [] });
    let shown = 0;
    const walker: Walker<Node> = async function* (key, value) {
      if (key === 'root') {
        shown++;
        // As the marks are made, and as the feed tells of that first move: e is read after the second.
        const [to, from, link] = shown === 1 ? ['root', 'other', 'e'] : ['third', 'e', 'f'];
        if (shown <= 2)
          await store.batch([
            { type: 'set', key: to, value: [link] },
            { type: 'set', key: from, value: [] },
          ]);
      }
      yield* value;
    };
    const options = { olderThanMs: 0, batchKeys: 1, concurrency: 1 };
    await sweep(store, ['root', 'third', 'other'], walker, options);
    expect(keysOf(store)).toEqual(['e', 'f', 'other', 'root', 'third']);
  });

  it('leaves what a root reaches that was not there when it began', async () => {
    const { store } = await graph({ root: [], late: ['x'], x: ['y'], y: [], z: [] });
    let asked = 0;
    const roots = () => (asked++ === 0 ? ['root'] : ['root', 'late']);
    await sweep(store, roots, links, { olderThanMs: 0 });
    expect(keysOf(store)).toEqual(['late', 'root', 'x', 'y']);
  });

  it('leaves what is changed at the very last moment', async () => {
    const { env, store } = await graph({ root: [], x: [], y: [], z: [] });
    const plan = new FaultPlan().hangNext('commit');
    const sweeping = sweep(faulty(store, plan), ['root'], links, { olderThanMs: 0 });
    while (plan.hanging === 0) await env.advance(0);
    store.blocking.set('x', ['z']);
    store.blocking.delete('y');
    plan.release();
    expect(await sweeping).toEqual({ examined: 4, kept: 1, swept: 1, tooYoung: 0, changed: 2 });
    expect(keysOf(store)).toEqual(['root', 'x']);
  });
});

describe('a sweep in trouble', () => {
  it('removes nothing when something that is reachable is missing', async () => {
    const { store } = await graph({ root: ['gone'], x: [] });
    const options = { olderThanMs: 0 };
    await expect(sweep(store, ['root'], links, options)).rejects.toMatchObject({
      code: 'data-missing',
      key: 'gone',
      operation: 'sweep',
    });
    await expect(sweep(store, ['nowhere'], links, options)).rejects.toMatchObject({
      code: 'data-missing',
    });
    expect(keysOf(store)).toEqual(['root', 'x']);
    const missing: unknown[] = [];
    const onMissing = (...what: unknown[]) => missing.push(what);
    await sweep(store, ['root'], links, { ...options, onMissing });
    expect(missing).toEqual([['gone', 'root']]);
    expect(keysOf(store)).toEqual(['root']);
  });

  it('does not mind what only something unreachable misses', async () => {
    const { store } = await graph({ root: [], x: ['gone'] });
    store.blocking.set('young', ['gone', 'x']);
    expect(await sweep(store, ['root'], links, { olderThanMs: 1 })).toMatchObject({ swept: 0 });
  });

  it('removes nothing when the walker fails', async () => {
    const { store } = await graph(torn);
    const broken: Walker<Node> = (key, value) => {
      if (key === 'c') throw new Error('what is this?');
      return value;
    };
    await expect(sweep(store, ['root'], broken, { olderThanMs: 0 })).rejects.toMatchObject({
      key: 'c',
    });
    expect(keysOf(store)).toHaveLength(7);
  });

  it('wants to be told what is old enough', async () => {
    const { store } = await graph({ root: [] });
    const wrong: unknown[] = [
      {},
      undefined,
      { olderThan: 5, olderThanMs: 5 },
      { olderThanMs: -1 },
      { olderThan: new Date(Number.NaN) },
      { olderThan: 'yesterday' },
      { olderThanMs: 1, dryrun: true },
    ];
    for (const options of wrong)
      await expect(sweep(store, ['root'], links, options as never)).rejects.toMatchObject({
        code: 'invalid-argument',
      });
  });

  it('ends with its signal, and can be run again', async () => {
    const { store } = await graph(torn);
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const options = { olderThanMs: 0, onProgress, signal: controller.signal };
    await expect(sweep(store, ['root'], links, options)).rejects.toMatchObject({ code: 'aborted' });
    expect(keysOf(store)).toHaveLength(7);
    expect(await sweep(store, ['root'], links, { olderThanMs: 0 })).toMatchObject({ swept: 3 });
  });
});
