import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { CommitOutcome } from '../../store/primitives.ts';
import { systemEnv } from '../../store/system-env.ts';
import { openStore, type SqliteStore } from './open-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-sqlite-commits-'));
afterAll(() => rmSync(folder, { recursive: true }));

let stores = 0;
const newPath = (): string => join(folder, `${++stores}.db`);
const open = (path: string): SqliteStore =>
  openStore({ path, durability: 'os', readonly: false, timeoutMs: 5_000, env: systemEnv });

function set(store: SqliteStore, n: number, condition?: 'absent'): Promise<CommitOutcome> {
  if (store.writer === undefined) throw new Error('opened for reading');
  const write = { type: 'set', key: 'key', value: Uint8Array.of(n) } as const;
  return store.writer.queue.add(
    [condition === undefined ? write : { ...write, if: condition }],
    Call.background(systemEnv, 'set'),
  );
}

describe('commits that share a transaction', () => {
  it('are told of no conflict with one that is then not made', async () => {
    const store = open(newPath());
    const { db } = store.engine;
    const exec = db.exec.bind(db);
    const full = Object.assign(new Error('database or disk is full'), { errcode: 13 });
    db.exec = (sql) => {
      if (sql !== 'COMMIT') return exec(sql);
      db.exec = exec;
      throw full;
    };
    const settled = await Promise.allSettled([set(store, 1), set(store, 2, 'absent')]);
    expect(settled).toMatchObject([
      { reason: { code: 'no-space' } },
      { reason: { code: 'no-space' } },
    ]);
    expect(store.engine.readOne('get', 'key')).toBeUndefined();
    await set(store, 3, 'absent');
    await store.close();
  });
});

describe('an epoch that another process begins', () => {
  it('is known of its revisions at once', async () => {
    const path = newPath();
    const store = open(path);
    await set(store, 1);
    const raw = new DatabaseSync(path);
    raw.exec("INSERT INTO epochs VALUES (2, 'new')");
    raw.close();
    const other = open(path);
    await set(other, 2);
    const rev = store.engine.readOne('get', 'key')?.rev ?? 0;
    expect([rev, store.feed.epochOf(rev)]).toEqual([2, 'new']);
    await other.close();
    await store.close();
  });
});
