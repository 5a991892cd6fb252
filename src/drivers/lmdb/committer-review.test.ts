import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { examineLmdb } from '../../../test/support/lmdb-integrity.ts';
import { Call } from '../../store/call.ts';
import { systemEnv } from '../../store/system-env.ts';
import { lmdb } from './index.ts';
import { type LmdbStore, type OpenStoreOptions, openStore } from './open-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-lmdb-committer-'));
afterAll(() => rmSync(folder, { recursive: true }));

let stores = 0;
const newPath = (): string => join(folder, `${++stores}`);
const bytes = (n: number): Uint8Array => Uint8Array.of(n);

const DEFAULTS = { durability: 'os', readonly: false, timeoutMs: 5_000, env: systemEnv } as const;

function open(options: Partial<OpenStoreOptions> = {}): LmdbStore {
  return openStore({ ...DEFAULTS, path: newPath(), ...options });
}

const committerOf = ({ writer }: LmdbStore): NonNullable<LmdbStore['writer']>['committer'] => {
  if (writer === undefined) throw new Error('opened for reading');
  return writer.committer;
};

const newCall = (): Call => Call.background(systemEnv, 'set');

const set = (key: string, n: number): { type: 'set'; key: string; value: Uint8Array } => ({
  type: 'set',
  key,
  value: bytes(n),
});

/** Runs something as each of a store's next transactions is begun. */
function onBegin({ reader }: LmdbStore, work: (group: number) => void): void {
  const { meta } = reader.tables;
  const original = meta.ifVersion.bind(meta);
  let groups = 0;
  meta.ifVersion = (key, version, callback) => {
    work(groups++);
    return original(key, version, callback);
  };
}

describe('deletes that are forgotten while their keys are written again', () => {
  it('are counted once', async () => {
    const store = open({ tombstoneBytes: 0 });
    const committer = committerOf(store);
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    await committer.commit(
      keys.map((key) => set(key, 1)),
      newCall(),
    );
    // The last of these transactions forgets them.
    const again: Promise<unknown>[] = [];
    onBegin(store, (group) => {
      const key = keys[group - 1];
      if (key !== undefined) again.push(committer.commit([set(key, 2)], newCall()));
    });
    await committer.commit(
      keys.map((key) => ({ type: 'delete', key })),
      newCall(),
    );
    await store.writer?.caretaker.compact();
    await Promise.all(again);
    expect(again.length).toBeGreaterThan(1);
    await store.close();
    expect((await examineLmdb(store.path)).flaws).toEqual([]);
  });
});

describe('large batches of one turn', () => {
  it('are handed over as they come, each planned upon those before it', async () => {
    const store = open();
    const committer = committerOf(store);
    let begun = 0;
    onBegin(store, () => begun++);
    const expected = new Map<string, number>();
    const commits: Promise<{ readonly rev?: number }>[] = [];
    for (let n = 1; n <= 30; n++) {
      const keys = Array.from({ length: 900 }, (_, i) => `k${(i * n) % 1_301}`);
      for (const key of keys) expected.set(key, n);
      commits.push(
        committer.commit(
          keys.map((key) => set(key, n)),
          newCall(),
        ),
      );
    }
    // Nothing of it is in the tables yet: the condition is checked against what is on its way.
    const taken = committer.commit([{ ...set('k0', 99), if: 'absent' }], newCall());
    expect(begun).toBeGreaterThan(1);
    await expect(taken).rejects.toMatchObject({ code: 'conflict', key: 'k0' });
    const revs = (await Promise.all(commits)).map(({ rev }) => rev);
    expect(revs).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    for (const [key, n] of expected)
      expect(store.reader.run('get', () => store.reader.value(key))).toEqual(bytes(n));
    await store.close();
    expect((await examineLmdb(store.path)).flaws).toEqual([]);
  });

  it('lose nothing when other processes commit between them', async () => {
    const store = open();
    const other = open({ path: store.path });
    const committer = committerOf(store);
    onBegin(store, (group) => {
      if (group === 0 || group === 2)
        committerOf(other).commitNow('set', [set(`other${group}`, 1)]);
    });
    const commits = Array.from({ length: 12 }, (_, n) =>
      committer.commit(
        Array.from({ length: 800 }, (_, i) => set(`k${i + n * 100}`, n)),
        newCall(),
      ),
    );
    const revs = (await Promise.all(commits)).map(({ rev = 0 }) => rev);
    expect(revs).toEqual(revs.toSorted((a, b) => a - b));
    const last = store.reader.run('get', () => store.reader.value('k1200'));
    expect(last).toEqual(bytes(11));
    await store.close();
    await other.close();
    expect((await examineLmdb(store.path)).flaws).toEqual([]);
  });
});

describe('commits that came too late again and again', () => {
  it('leave out those that were given up meanwhile', async () => {
    const store = open();
    const other = open({ path: store.path });
    const late = newCall();
    // Each transaction of the one is overtaken by the other, until it takes the lock.
    onBegin(store, (group) => {
      committerOf(other).commitNow('set', [set('other', group)]);
      if (group < 2) return;
      committerOf(other).commitNow('set', [set('key', 1)]);
      queueMicrotask(() => late.end('aborted'));
    });
    const committer = committerOf(store);
    const early = committer.commit([set('early', 1)], newCall());
    const given = committer.commit([{ type: 'delete', key: 'key' }], late);
    await expect(given).rejects.toMatchObject({ code: 'aborted' });
    await early;
    expect(store.reader.run('get', () => store.reader.value('key'))).toEqual(bytes(1));
    await store.close();
    await other.close();
    expect((await examineLmdb(store.path)).flaws).toEqual([]);
  });
});

describe('a transaction that fails for good', () => {
  it('fails what waits behind it at once', async () => {
    const store = open();
    const { root } = store.reader.tables;
    const failure = Object.assign(new Error('Input/output error'), { code: 5 });
    const original = root.transactionSync;
    root.transactionSync = () => {
      throw failure;
    };
    const committer = committerOf(store);
    const waiting = committer.commit([set('a', 1)], newCall());
    expect(() => committer.commitNow('set', [set('b', 1)])).toThrow(
      expect.objectContaining({ code: 'unknown-outcome' }),
    );
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    root.transactionSync = original;
    await store.close();
  });
});

describe('closing', () => {
  it('settles what is planned anew when its time is up', async () => {
    const store = open({ timeoutMs: 20 });
    const { meta } = store.reader.tables;
    const original = meta.ifVersion.bind(meta);
    let groups = 0;
    // The first transaction comes too late; the second does not end in time.
    meta.ifVersion = (key, version, callback) => {
      const done = original(key, version, callback);
      return ++groups === 1
        ? done.then(() => false)
        : done.then(() => new Promise((resolve) => setTimeout(resolve, 200, false)));
    };
    const committer = committerOf(store);
    const first = committer.commit([set('a', 1)], newCall());
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const second = committer.commit([set('b', 1)], newCall());
    const settled = Promise.allSettled([first, second]);
    let done = false;
    void settled.then(() => {
      done = true;
    });
    await store.close();
    await Promise.resolve();
    await Promise.resolve();
    expect(done).toBe(true);
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await new Promise((resolve) => setTimeout(resolve, 250));
  });

  it('keeps the path until it is done', async () => {
    const store = open();
    const { path } = store;
    const { root } = store.reader.tables;
    const original = root.close.bind(root);
    let closed = false;
    root.close = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await original();
      closed = true;
    };
    const closing = store.close();
    // Another durability would not be kept by an environment that is still open.
    for (;;) {
      try {
        const next = openStore({ ...DEFAULTS, path, durability: 'disk' });
        expect(closed).toBe(true);
        await next.close();
        break;
      } catch (error) {
        expect(error).toMatchObject({ code: 'conflict' });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
    await closing;
  });
});

describe('blocking calls', () => {
  it('are named in their errors', async () => {
    const store = lmdb({ path: newPath(), durability: 'os' });
    store.blocking.set('a', bytes(1));
    expect(() => store.blocking.set('a', bytes(2), { if: 'absent' })).toThrow(
      expect.objectContaining({ code: 'conflict', operation: 'set' }),
    );
    await store.close();
  });
});
