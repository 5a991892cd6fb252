import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { examineLmdb } from '../../../test/support/lmdb-integrity.ts';
import { describeStore, json, type Store, type StoreWithBlocking } from '../../store/index.ts';
import { modelTest, simulatedEnv } from '../../testing/index.ts';
import { compact, type LmdbOptions, lmdb } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-lmdb-commits-'));
afterAll(() => rmSync(folder, { recursive: true }));

let stores = 0;
const newPath = (): string => join(folder, `${++stores}`);
const open = (options: Partial<LmdbOptions> = {}): StoreWithBlocking<number> =>
  lmdb({ path: newPath(), durability: 'os', ...options, codec: json<number>() });
const pathOf = (store: Store<never> | Store<unknown>): string =>
  String(describeStore(store).details?.path);

/** Closes a store and holds all its records against each other. */
async function examined(store: Store<number>): ReturnType<typeof examineLmdb> {
  await store.close();
  const findings = await examineLmdb(pathOf(store));
  expect(findings.flaws).toEqual([]);
  return findings;
}

/** Resolves when the upkeep begun so far is done: the compaction comes after it. */
const rested = (store: Store<number>): Promise<void> => compact(store);

/** What a watch from the start gives first. */
async function followed(store: Store<number>): Promise<Map<string, number>> {
  for await (const { writes } of store.watch({ after: 'start' }))
    return new Map(
      writes.flatMap((write) => (write.type === 'set' ? [[write.key, write.value]] : [])),
    );
  throw new Error('the watch ended');
}

async function listed(store: Store<number>): Promise<Map<string, number>> {
  return new Map((await Array.fromAsync(store.list())).map(({ key, value }) => [key, value]));
}

describe('commits that arrive together', () => {
  it('share a transaction, each with its own revision and outcome, in the order of the calls', async () => {
    const store = open();
    const outcomes = await Promise.allSettled([
      store.set('a', 1),
      store.set('a', 2, { if: 'absent' }),
      store.delete('missing'),
      store.set('b', 3, { if: 'absent' }),
      store.delete('a'),
      store.set('a', 4, { if: 'absent' }),
    ]);
    expect(
      outcomes.map((one) =>
        one.status === 'fulfilled'
          ? typeof one.value === 'boolean'
            ? one.value
            : one.value.rev
          : one.reason.code,
      ),
    ).toEqual([1, 'conflict', false, 2, true, 4]);
    const commits: unknown[] = [];
    for await (const { from, to, writes } of store.watch({ after: 'start' })) {
      for (const { type, key, rev } of writes) commits.push([type, key, rev]);
      expect([from, to]).toEqual([0, 4]);
      break;
    }
    expect(commits).toEqual([
      ['set', 'b', 2],
      ['set', 'a', 4],
    ]);
    await examined(store);
  });

  it('give a watcher each of them by itself', async () => {
    await using store = open();
    const watch = store.watch()[Symbol.asyncIterator]();
    await store.cursor();
    await Promise.all([store.set('a', 1), store.set('a', 2), store.set('a', 3)]);
    for (const value of [1, 2, 3])
      expect((await watch.next()).value).toMatchObject({ to: value, writes: [{ value }] });
    await watch.return?.();
  });

  it('leave out a call that is given up before its turn', async () => {
    const store = open();
    const controller = new AbortController();
    const given = store.set('a', 1, { signal: controller.signal });
    const kept = store.set('b', 2);
    controller.abort();
    await expect(given).rejects.toMatchObject({ code: 'aborted' });
    expect(await kept).toMatchObject({ rev: 1 });
    expect(await store.get('a')).toBeUndefined();
    await examined(store);
  });

  it('say unknown-outcome when they are given up while their transaction runs', async () => {
    await using store = open();
    const controller = new AbortController();
    const given = store.set('a', 1, { signal: controller.signal });
    await new Promise((resolve) => process.nextTick(resolve));
    controller.abort();
    await expect(given).rejects.toMatchObject({ code: 'unknown-outcome' });
  });

  it('take values as they were at the call', async () => {
    await using store = lmdb({ path: newPath() });
    const bytes = Uint8Array.of(1, 2, 3);
    const both = Promise.all([
      store.set('a', bytes),
      store.set('fixed', bytes, { immutable: true }),
      store.set('fixed', Uint8Array.of(1, 2, 3), { immutable: true }),
    ]);
    bytes.fill(9);
    const [, first, second] = await both;
    expect(await store.get('a')).toEqual(Uint8Array.of(1, 2, 3));
    expect(second).toEqual(first);
    const got = await store.get('a');
    got?.fill(7);
    expect(await store.get('a')).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('are acknowledged before the store is closed', async () => {
    const store = open();
    const writes = Promise.all(Array.from({ length: 500 }, (_, n) => store.set(`k${n}`, n)));
    await store.close();
    await writes;
    const again = lmdb({ path: pathOf(store), codec: json<number>() });
    expect((await listed(again)).size).toBe(500);
    await examined(again);
  });
});

describe('two handles and the synchronous view', () => {
  it('lose nothing when all write at once, and keep the tables in step', async () => {
    const store = open({ pollMs: 2 });
    const other = open({ path: pathOf(store), pollMs: 2 });
    const count = async (handle: StoreWithBlocking<number>): Promise<void> => {
      for (let n = 0; n < 60; n++) {
        await handle.update('count', (before = 0) => before + 1);
        if (n % 3 === 0) handle.blocking.update('count', (before = 0) => before + 1);
        if (n % 7 === 0) await handle.delete(`k${n % 5}`);
        else void handle.set(`k${n % 5}`, n, { ttlMs: 1_000_000 + n });
      }
    };
    await Promise.all([count(store), count(other), count(store)]);
    expect(await store.get('count')).toBe(240);
    expect(await followed(store)).toEqual(await listed(other));
    await other.close();
    await examined(store);
  });

  it('see at once what the other wrote, in whatever way', async () => {
    await using store = open();
    await using other = open({ path: pathOf(store) });
    for (let n = 0; n < 50; n++) {
      const [writer, reader] = n % 2 === 0 ? [store, other] : [other, store];
      if (n % 3 === 0) writer.blocking.set('k', n);
      else await writer.set('k', n);
      expect(reader.blocking.get('k')).toBe(n);
      expect(await reader.get('k')).toBe(n);
    }
  });

  it('make progress while the other never stops', async () => {
    await using store = open();
    await using other = open({ path: pathOf(store) });
    let stop = false;
    const busy = (async () => {
      for (let n = 0; !stop; n++)
        await Promise.all(Array.from({ length: 10 }, (_, k) => other.set(`o${k}`, n)));
    })();
    for (let n = 0; n < 100; n++) await store.set('k', n);
    stop = true;
    await busy;
    expect(await other.get('k')).toBe(99);
  });
});

describe('the change index', () => {
  it('is compacted on request, to one change a key', async () => {
    const store = open();
    for (let round = 0; round < 5; round++)
      await store.setMany(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, round + n] as const));
    await store.deleteMany(Array.from({ length: 500 }, (_, n) => `k${n * 3}`));
    await compact(store);
    expect(await followed(store)).toEqual(await listed(store));
    expect(await examined(store)).toMatchObject({ changes: 2_000, stale: 0 });
  });

  it('is compacted also where it is not known what has been replaced', async () => {
    const first = open();
    for (let round = 0; round < 4; round++)
      await first.setMany(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, round] as const));
    await first.close();
    const store = open({ path: pathOf(first) });
    await store.set('k7', 7);
    await compact(store);
    expect(await followed(store)).toEqual(await listed(store));
    expect(await examined(store)).toMatchObject({ changes: 3_000, stale: 0 });
  });

  it('stays bounded by itself', async () => {
    const store = open();
    for (let round = 0; round < 40; round++)
      await store.setMany(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, round] as const));
    await expect.poll(async () => (await examineLmdb(pathOf(store))).changes).toBeLessThan(25_000);
    await examined(store);
  });

  it('is compacted while writers and a reader go on', async () => {
    const store = open();
    let stop = false;
    const writing = (async () => {
      for (let n = 0; !stop; n++)
        await store.batch(
          Array.from({ length: 50 }, (_, k) =>
            k % 5 === 0
              ? { type: 'delete' as const, key: `k${(n * 31 + k) % 997}` }
              : { type: 'set' as const, key: `k${(n * 17 + k) % 997}`, value: n },
          ),
        );
    })();
    for (let round = 0; round < 10; round++) {
      await compact(store);
      await followed(store);
    }
    stop = true;
    await writing;
    await compact(store);
    expect(await followed(store)).toEqual(await listed(store));
    expect(await examined(store)).toMatchObject({ stale: 0 });
  });

  it('gives a large state in pages, each once', async () => {
    await using store = lmdb({ path: newPath(), durability: 'os', logBytes: 0 });
    const value = new Uint8Array(2_000).fill(3);
    for (let n = 0; n < 6; n++)
      await store.setMany(
        Array.from({ length: 1_000 }, (_, k) => [`k${n * 1_000 + k}`, value] as const),
      );
    for await (const { writes } of store.watch({ after: 'start' })) {
      expect(writes).toHaveLength(6_000);
      expect(new Set(writes.map(({ key }) => key)).size).toBe(6_000);
      break;
    }
  });

  it('refuses to compact what is no store of its kind', async () => {
    await using store = lmdb({ path: newPath() });
    await store.set('k', Uint8Array.of(1));
    await expect(compact({} as never)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('what is let go in time', () => {
  it('removes expired values from every table but for a tombstone, which goes in its turn', async () => {
    const env = simulatedEnv();
    const store = open({ env, tombstoneMs: 100_000 });
    await store.set('kept', 1);
    await store.setMany(
      Array.from({ length: 1_200 }, (_, n) => [`k${n}`, n] as const),
      { ttlMs: 10_000 },
    );
    await store.set('k7', 7);
    const cursor = await store.cursor();
    await env.advance(31_000);
    await rested(store);
    expect(await listed(store)).toEqual(
      new Map([
        ['kept', 1],
        ['k7', 7],
      ]),
    );
    expect(await store.cursor()).toBe(cursor);
    const path = pathOf(store);
    const between = await examined(store);
    expect(between).toMatchObject({ changes: 1_201, stale: 0 });
    const again = open({ path, env, tombstoneMs: 100_000 });
    await env.advance(131_000);
    await rested(again);
    const watch = again.watch({ after: cursor })[Symbol.asyncIterator]();
    await again.set('k8', 8);
    expect((await watch.next()).value).toMatchObject({ writes: [{ key: 'k8' }] });
    await watch.return?.();
    await compact(again);
    expect(await examined(again)).toMatchObject({ changes: 3, stale: 0 });
  });

  it('forgets the oldest deletes beyond its bound, and refuses who may have missed them', async () => {
    const store = open({ tombstoneBytes: 20_000, logBytes: 0 });
    await store.set('kept', 1);
    const early = await store.cursor();
    for (let n = 0; n < 10; n++) {
      const keys = Array.from({ length: 100 }, (_, k) => `k${n}:${k}`);
      await store.setMany(keys.map((key) => [key, n] as const));
      await store.deleteMany(keys);
    }
    await rested(store);
    const late = await store.cursor();
    await expect(
      store.watch({ after: early })[Symbol.asyncIterator]().next(),
    ).rejects.toMatchObject({ code: 'cursor-expired' });
    await store.set('new', 2);
    for await (const { writes } of store.watch({ after: late })) {
      expect(writes).toMatchObject([{ key: 'new' }]);
      break;
    }
    await examined(store);
  });

  it('knows the ids of its last commits only', async () => {
    const store = open({ commitsKept: 50, logBytes: 0 });
    const cursors: string[] = [];
    for (let n = 0; n < 60; n++) {
      await Promise.all(Array.from({ length: 20 }, (_, k) => store.set(`k${k}`, n)));
      cursors.push(await store.cursor());
    }
    await rested(store);
    const resume = (at: number): Promise<unknown> =>
      store
        .watch({ after: cursors.at(at) as never })
        [Symbol.asyncIterator]()
        .next();
    expect(await resume(-2)).toMatchObject({ done: false });
    await expect(resume(0)).rejects.toMatchObject({ code: 'cursor-expired' });
    await examined(store);
  });
});

const env = simulatedEnv();
for (const [name, options] of Object.entries<Partial<LmdbOptions>>({
  'lmdb, in simulated time': {},
  'lmdb, without a log': { logBytes: 0 },
  'lmdb, forgetful': { logBytes: 500, tombstoneBytes: 300, commitsKept: 20 },
}))
  modelTest({
    name,
    fc,
    test: { describe, it },
    factory: {
      env,
      create: () => open({ ...options, env }),
      reopen: async (store) => {
        await store.close();
        return open({ ...options, env, path: pathOf(store) });
      },
      second: async (store) => open({ ...options, env, path: pathOf(store) }),
    },
    runs: 40,
    forgetful: options.tombstoneBytes !== undefined,
  });
