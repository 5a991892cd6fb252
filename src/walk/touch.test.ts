import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import type { StoreWithBlocking } from '../index.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { sweep, touch } from './index.ts';

type Node = readonly string[];

const links = (_: string, value: Node): Node => value;
const HOUR_MS = 3_600_000;

/** A store of nodes. */
function graph(nodes: Readonly<Record<string, Node>>): {
  env: SimulatedEnv;
  store: StoreWithBlocking<Node>;
} {
  const env = simulatedEnv();
  const store = memory<Node>({ env });
  for (const [key, node] of Object.entries(nodes)) store.blocking.set(key, node);
  return { env, store };
}

describe('touch', () => {
  it('makes entries new, and tells which exist', async () => {
    const { env, store } = graph({});
    store.blocking.set('a', ['x'], { meta: { n: 1 }, ttlMs: 10 * HOUR_MS });
    store.blocking.set('b', [], { immutable: true });
    await env.advance(2 * HOUR_MS);
    const before = await store.getEntries(['a', 'b']);
    expect(await touch(store, ['a', 'b', 'a', 'gone'])).toEqual(new Set(['a', 'b']));
    const after = await store.getEntries(['a', 'b']);
    for (const key of ['a', 'b']) {
      const { version, rev, modifiedAt, ...rest } = before.get(key) as NonNullable<unknown> & {
        version: string;
        rev: number;
        modifiedAt: number;
      };
      expect(after.get(key)).toMatchObject(rest);
      expect(after.get(key)?.version).not.toBe(version);
      expect(after.get(key)?.rev).toBeGreaterThan(rev);
      expect(after.get(key)?.modifiedAt).toBe(modifiedAt + 2 * HOUR_MS);
    }
    expect(
      await sweep(store, [], links, { olderThanMs: HOUR_MS, allowNoRoots: true }),
    ).toMatchObject({ tooYoung: 2 });
  });

  it('tries again when another writer comes in between', async () => {
    const { env, store } = graph({ a: [], b: [] });
    const plan = new FaultPlan().hangNext('commit');
    const touching = touch(faulty(store, plan), ['a', 'b']);
    while (plan.hanging === 0) await env.advance(0);
    store.blocking.set('a', ['new']);
    store.blocking.delete('b');
    plan.release();
    expect(await touching).toEqual(new Set(['a']));
    expect(store.blocking.get('a')).toEqual(['new']);
  });

  it('refuses what is no key', async () => {
    const { store } = graph({});
    await expect(touch(store, [''])).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(touch(store, 'abc')).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
