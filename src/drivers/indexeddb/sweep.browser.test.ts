import { openDB } from 'idb';
import { afterEach, describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { simulatedEnv } from '../../testing/simulated-env.ts';
import { type IndexedDbOptions, indexeddb } from './index.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const stores: Store<unknown>[] = [];
const fresh = (): string => `sweep-${crypto.randomUUID()}`;

function open(options: IndexedDbOptions<number>): Store<number> {
  const store = indexeddb<number>(options);
  stores.push(store as Store<unknown>);
  return store;
}

/** How many records an object store of a database has. */
async function count(name: string, store: 'entries' | 'tombstones'): Promise<number> {
  const db = await openDB(name);
  const records = await db.count(store);
  db.close();
  return records;
}

/** What the store believes to remember of deletes. */
async function tombstoneBytes(name: string): Promise<number> {
  const db = await openDB(name);
  const state: { tombstoneBytes: number } = await db.get('meta', 'state');
  db.close();
  return state.tombstoneBytes;
}

async function changesAfter(
  store: Store<number>,
  after: 'start' | Awaited<ReturnType<typeof store.cursor>>,
): Promise<readonly Change<number>[]> {
  for await (const commit of store.watch({ after })) return commit.writes;
  return [];
}

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

describe('expired entries', () => {
  it('are hidden at once, and swept later, leaving a delete in their place', async () => {
    const env = simulatedEnv();
    const name = fresh();
    const store = open({ name, env, logBytes: 0 });
    await store.set('lasting', 1);
    const after = await store.cursor();
    await store.set('lasting', 2, { ttlMs: 500 });
    await store.set('other', 3);
    await env.advance(500);
    expect(await store.get('lasting')).toBeUndefined();
    expect(await Array.fromAsync(store.keys())).toEqual(['other']);
    expect(await count(name, 'entries')).toBe(2);
    const expected = [
      { type: 'delete', key: 'lasting', rev: 2 },
      { type: 'set', key: 'other', rev: 3 },
    ];
    expect(await changesAfter(store, after)).toMatchObject(expected);
    await env.advance(MINUTE_MS);
    await expect.poll(() => count(name, 'entries')).toBe(1);
    expect(await count(name, 'tombstones')).toBe(1);
    expect(await changesAfter(store, after)).toMatchObject(expected);
    expect(await changesAfter(store, 'start')).toMatchObject([expected[1]]);
  });

  it('are swept in more than one step, also those of an earlier opening', async () => {
    const env = simulatedEnv();
    const name = fresh();
    const first = open({ name, env });
    await first.setMany(
      Array.from({ length: 600 }, (_, n) => [`k${n}`, n] as const),
      { ttlMs: 1_000 },
    );
    await first.close();
    await env.advance(MINUTE_MS);
    expect(await count(name, 'entries')).toBe(600);
    const store = open({ name, env });
    await store.get('open');
    await env.advance(MINUTE_MS);
    await expect.poll(() => count(name, 'entries')).toBe(0);
    await store.set('k5', 5);
    expect(await count(name, 'tombstones')).toBe(599);
    expect(await Array.fromAsync(store.keys())).toEqual(['k5']);
  });
});

describe('deletes', () => {
  it('are remembered for a time; who comes from before it must begin anew', async () => {
    const env = simulatedEnv();
    const name = fresh();
    const store = open({ name, env, tombstoneMs: DAY_MS, logBytes: 0 });
    await store.setMany([
      ['a', 1],
      ['b', 2],
    ]);
    const before = await store.cursor();
    await store.delete('a');
    const between = await store.cursor();
    await env.advance(DAY_MS + 1);
    await store.delete('b');
    await store.set('expiring', 0, { ttlMs: 1 });
    await env.advance(MINUTE_MS);
    await expect.poll(() => count(name, 'entries')).toBe(0);
    expect(await count(name, 'tombstones')).toBe(2);
    await expect(changesAfter(store, before)).rejects.toMatchObject({ code: 'cursor-expired' });
    expect(await changesAfter(store, between)).toMatchObject([{ key: 'b' }, { key: 'expiring' }]);
  });

  it('are remembered up to a size, the newest longest', async () => {
    const env = simulatedEnv();
    const name = fresh();
    const store = open({ name, env, tombstoneBytes: 100 * 400 });
    const keys = Array.from({ length: 1_000 }, (_, n) => `k${String(n).padStart(3, '0')}`);
    await store.setMany(keys.map((key, n) => [key, n]));
    for (let at = 0; at < 1_000; at += 100) await store.deleteMany(keys.slice(at, at + 100));
    const beforeLast = await store.cursor();
    await env.advance(2_000);
    await expect.poll(() => count(name, 'tombstones')).toBeLessThanOrEqual(300);
    expect(await count(name, 'tombstones')).toBe(300);
    await store.set('after', 1);
    expect(await changesAfter(store, beforeLast)).toMatchObject([{ key: 'after' }]);
    await store.set('k999', 1);
    expect(await count(name, 'tombstones')).toBe(299);
    const start = await store.cursor();
    expect(await changesAfter(store, 'start')).toMatchObject([{ key: 'after' }, { key: 'k999' }]);
    expect(start).toBe(await store.cursor());
  });

  it('forgotten ahead of a reader that stands within their commit end its read', async () => {
    const env = simulatedEnv();
    const name = fresh();
    const store = open({ name, env, logBytes: 0, tombstoneBytes: 500 });
    const keys = Array.from({ length: 200 }, (_, n) => `k${n}`);
    await store.setMany(keys.map((key, n) => [key, n]));
    const { feed } = primitivesOf(store);
    const call = Call.background(env, 'watch');
    const { head } = (await feed?.state(call)) ?? {};
    await store.deleteMany(keys);
    const pages = feed?.read(head, call)[Symbol.asyncIterator]();
    expect((await pages?.next())?.value.end).toBeUndefined();
    await env.advance(2_000);
    await expect.poll(() => count(name, 'tombstones')).toBeLessThan(10);
    await expect(pages?.next()).rejects.toMatchObject({ code: 'cursor-expired' });
  });

  it('that are undone again and again are not counted for ever', async () => {
    const env = simulatedEnv();
    const name = fresh();
    const store = open({ name, env, tombstoneBytes: 1_000 });
    await store.setMany([
      ['a', 0],
      ['b', 0],
    ]);
    const after = await store.cursor();
    await store.delete('b');
    for (let n = 0; n < 30; n++) {
      await store.delete('a');
      await store.set('a', n);
    }
    await env.advance(2_000);
    await expect.poll(() => tombstoneBytes(name)).toBeLessThan(200);
    // Nothing was forgotten, as only the count was too high.
    expect(await changesAfter(open({ name, env }), after)).toMatchObject([
      { type: 'delete', key: 'b' },
      { type: 'set', key: 'a', value: 29 },
    ]);
  });
});
