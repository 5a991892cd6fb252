import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import { json, primitivesOf, type StoreWithBlocking } from '../../store/index.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type SqliteOptions, sqlite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-sqlite-commits-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const newPath = (): string => join(folder, `${++files}.db`);
const open = (options: Partial<SqliteOptions> = {}): StoreWithBlocking<number> =>
  sqlite({ path: newPath(), durability: 'os', ...options, codec: json<number>() });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('commits that arrive together', () => {
  it('share a transaction, each with its own revision and outcome, in the order of the calls', async () => {
    await using store = open();
    const outcomes = await Promise.allSettled([
      store.set('a', 1),
      store.set('a', 2, { if: 'absent' }),
      store.update('a', (value) => (value ?? 0) + 10),
      store.batch([
        { type: 'set', key: 'b', value: 1 },
        { type: 'delete', key: 'b', if: { version: 'no' } },
      ]),
      store.delete('missing'),
      store.set('b', 3, { if: 'absent' }),
      store.delete('a'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
    const commits: unknown[] = [];
    for await (const { to, writes } of store.watch({ after: 'start' })) {
      for (const { type, key, rev } of writes) commits.push([type, key, rev]);
      if (to === 4) break;
    }
    // The update read before the delete and lost to it: it was called again.
    expect(await store.get('a')).toBe(10);
    expect(commits).toEqual([
      ['set', 'b', 2],
      ['set', 'a', 4],
    ]);
  });

  it('leave out a call that is given up before its turn', async () => {
    await using store = open();
    const controller = new AbortController();
    const given = store.set('a', 1, { signal: controller.signal });
    const kept = store.set('b', 1);
    controller.abort();
    await expect(given).rejects.toMatchObject({ code: 'aborted' });
    expect((await kept).rev).toBe(1);
    expect(await store.has('a')).toBe(false);
  });

  it('are what they were at the call, though their bytes are changed at once', async () => {
    await using store = sqlite({ path: newPath(), durability: 'os' });
    const value = new Uint8Array([1, 2, 3]);
    const watch = store.watch()[Symbol.asyncIterator]();
    const setting = store.set('k', value);
    value.fill(9);
    await setting;
    const seen = (await watch.next()).value?.writes[0];
    expect(seen).toMatchObject({ value: new Uint8Array([1, 2, 3]) });
    expect(await store.get('k')).toEqual(new Uint8Array([1, 2, 3]));
  });

  it("are each watcher's own: one that changes what it was given changes nothing for another", async () => {
    await using store = sqlite({ path: newPath(), durability: 'os' });
    const watches = [1, 2].map(() => store.watch()[Symbol.asyncIterator]());
    await store.cursor();
    await store.set('k', new Uint8Array([1, 2, 3]));
    for (const watch of watches) {
      const { value: commit } = await watch.next();
      const [seen] = commit?.writes ?? [];
      expect(seen).toMatchObject({ type: 'set', value: new Uint8Array([1, 2, 3]) });
      if (seen?.type === 'set') seen.value.fill(9);
    }
    expect(await store.get('k')).toEqual(new Uint8Array([1, 2, 3]));
  });

  it('are all settled when the store closes', async () => {
    const path = newPath();
    const store = open({ path });
    const writes = Promise.all(Array.from({ length: 50 }, (_, n) => store.set(`k${n}`, n)));
    await store.close();
    await writes;
    await using again = open({ path });
    expect(await Array.fromAsync(again.keys())).toHaveLength(50);
  });
});

describe('a store that another process keeps locked', () => {
  it('lets calls time out, not applied, while the event loop and reads go on', async () => {
    const path = newPath();
    await using store = open({ path, timeoutMs: 60 });
    await store.set('k', 1);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    let turns = 0;
    const clock = setInterval(() => turns++, 1);
    const failing = store.set('k', 2);
    await expect(failing).rejects.toMatchObject({ code: 'timeout', retryable: true });
    clearInterval(clock);
    expect(turns).toBeGreaterThan(10);
    expect(await store.get('k')).toBe(1);
    expect(() => store.blocking.set('k', 3)).toThrow(
      expect.objectContaining({ code: 'timeout', operation: 'set' }),
    );
    const patient = store.set('k', 4, { timeoutMs: 10_000 });
    await pause(20);
    other.exec('ROLLBACK');
    expect((await patient).rev).toBe(2);
    expect(await store.get('k')).toBe(4);
    other.close();
  });

  it('closes all the same, and says so to who still waits', async () => {
    const path = newPath();
    const store = open({ path, timeoutMs: 30 });
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    const waiting = store.set('k', 1, { timeoutMs: 10_000 }).catch((error: unknown) => error);
    await store.close();
    expect(await waiting).toMatchObject({ code: 'closed' });
    other.close();
  });
});

describe('what is remembered', () => {
  it('holds swept entries as tombstones at their place, and forgets tombstones by age', async () => {
    const env = simulatedEnv();
    const path = newPath();
    await using store = open({ path, env, tombstoneMs: 100_000 });
    await store.setMany(
      Array.from({ length: 1_200 }, (_, n) => [`k${n}`, n] as const),
      { ttlMs: 1_000 },
    );
    await store.set('stays', 1);
    await store.delete('stays');
    const cursor = await store.cursor();
    const db = new DatabaseSync(path, { readOnly: true });
    const count = (where: string): unknown =>
      db.prepare(`SELECT count(*) AS n FROM entries WHERE ${where}`).get()?.n;
    expect(count('entry IS NULL')).toBe(1);
    await env.advance(31_000);
    expect(count('entry IS NULL AND rev = 1')).toBe(1_200);
    expect(count('expires_at IS NOT NULL')).toBe(0);
    for await (const { writes } of store.watch({ after: 'start' })) {
      expect(writes).toEqual([]);
      break;
    }
    await store.set('new', 1);
    await env.advance(200_000);
    expect(count('true')).toBe(1);
    expect(db.prepare('SELECT floor, tombstone_bytes FROM state').get()).toEqual({
      floor: 3,
      tombstone_bytes: 0,
    });
    // At the floor nothing is missing; below it something may be.
    for await (const { to } of store.watch({ after: cursor })) {
      expect(to).toBe(4);
      break;
    }
    db.close();
  });

  it('is bounded in bytes, and a reader from before it is told', async () => {
    await using store = open({ tombstoneBytes: 1_000, logBytes: 0 });
    await store.set('a', 1);
    const cursor = await store.cursor();
    await store.setMany(Array.from({ length: 100 }, (_, n) => [`k${n}`, n] as const));
    const middle = await store.cursor();
    for (let n = 0; n < 100; n++) await store.delete(`k${n}`);
    const step = store.watch({ after: cursor })[Symbol.asyncIterator]().next();
    await expect(step).rejects.toMatchObject({ code: 'cursor-expired' });
    const late = await store.cursor();
    await store.set('b', 2);
    for (const after of [late, 'start'] as const)
      for await (const { writes } of store.watch({ after })) {
        expect(writes.map(({ key }) => key)).toContain('b');
        break;
      }
    expect(middle).not.toBe(cursor);
  });

  it('knows the ids of the last commits only', async () => {
    await using store = open({ commitsKept: 100, logBytes: 0 });
    await store.set('k', 0);
    const old = await store.cursor();
    await Promise.all(Array.from({ length: 1_100 }, (_, n) => store.set('k', n)));
    const step = store.watch({ after: old })[Symbol.asyncIterator]().next();
    await expect(step).rejects.toMatchObject({ code: 'cursor-expired' });
  });
});

describe('the change index', () => {
  it('gives exactly a state of the store, though it is written while it is read', async () => {
    await using store = open({ logBytes: 0 });
    const { feed, env } = primitivesOf(store);
    const keys = Array.from({ length: 5_000 }, (_, n) => `k${n}`);
    await store.setMany(keys.map((key, n) => [key, n] as const));
    const copy = new Map<string, number>();
    const call = Call.background(env, 'watch');
    let pages = 0;
    for await (const { changes, end } of feed?.read(undefined, call) ?? []) {
      for (const change of changes)
        if (change.type === 'set') copy.set(change.key, change.value);
        else copy.delete(change.key);
      if (end !== undefined) {
        expect(end.rev).toBe((await feed?.state(call))?.head.rev);
        break;
      }
      pages++;
      if (pages > 8) continue;
      await store.set(`k${pages}`, -pages);
      await store.delete(`k${4_000 + pages}`);
      await store.delete(`k${pages * 10}`);
      await store.set(`new${pages}`, pages);
    }
    expect(pages).toBeGreaterThan(4);
    const listed = await Array.fromAsync(store.list());
    expect(Object.fromEntries(copy)).toEqual(
      Object.fromEntries(listed.map(({ key, value }) => [key, value])),
    );
  });

  it('expires a reader when deletes ahead of it, in the midst of a commit too, are forgotten', async () => {
    await using store = open({ logBytes: 0, tombstoneBytes: 120_000 });
    const { feed, env } = primitivesOf(store);
    await store.set('first', 1);
    const after = (await feed?.state(Call.background(env, 'watch')))?.head;
    const keys = Array.from({ length: 1_100 }, (_, n) => `k${n}`);
    await store.setMany(keys.map((key, n) => [key, n] as const));
    await store.deleteMany(keys);
    const pages = feed?.read(after, Call.background(env, 'watch'))[Symbol.asyncIterator]();
    expect((await pages?.next())?.value?.changes).toHaveLength(1_000);
    await store.setMany(keys.map((key, n) => [`l${key}`, n] as const));
    await store.deleteMany(keys.map((key) => `l${key}`));
    await expect(pages?.next()).rejects.toMatchObject({ code: 'cursor-expired' });
  });

  it('is read in pages that are bounded in bytes', async () => {
    await using store = sqlite({ path: newPath(), durability: 'os', logBytes: 0 });
    const large = new Uint8Array(600_000);
    await store.setMany(Array.from({ length: 6 }, (_, n) => [`k${n}`, large] as const));
    const { feed, env, scan } = primitivesOf(store);
    const call = Call.background(env, 'list');
    const sizes: number[] = [];
    for await (const { changes } of feed?.read(undefined, call) ?? []) sizes.push(changes.length);
    expect(sizes).toEqual([2, 2, 2, 0]);
    const pages = await Array.fromAsync(
      scan({ reverse: true, limit: Number.POSITIVE_INFINITY }, call),
    );
    expect(pages.map((page) => page.map(({ key }) => key))).toEqual([
      ['k5', 'k4'],
      ['k3', 'k2'],
      ['k1', 'k0'],
    ]);
  });
});
