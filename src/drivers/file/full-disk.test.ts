/** A disk that is really full: a small file system in memory, mounted by the test where it may. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { replica } from '../../compositions/replica/index.ts';
import { isStrataError, type Store } from '../../store/index.ts';
import { memory } from '../memory/index.ts';
import { file } from './index.ts';

const BYTES: number = 256 * 1024;
const place = mkdtempSync(join(tmpdir(), 'stratakv-full-disk-'));
const system = (program: string, ...words: string[]): ReturnType<typeof spawnSync> =>
  spawnSync(program, words);
const mounted = system('mount', '-t', 'tmpfs', '-o', `size=${BYTES}`, 'tmpfs', place);
const isMounted = mounted.status === 0;
const why = isMounted
  ? ''
  : ` (skipped: no file system may be mounted here: ${mounted.error ?? mounted.stderr})`;
afterAll(() => {
  if (isMounted) system('umount', place);
  rmSync(place, { recursive: true, force: true });
});

let stores = 0;
const emptied = (): string => {
  for (const name of readdirSync(place)) rmSync(join(place, name), { recursive: true });
  return join(place, `${++stores}`);
};

/** Sets new keys until one fails; gives the failure and how many were acknowledged. */
async function fill(store: Store<Uint8Array>): Promise<{ error: unknown; acknowledged: number }> {
  for (let n = 0; n < 1_000; n++)
    try {
      await store.set(`key${n}`, Buffer.alloc(9_000, n));
    } catch (error) {
      return { error, acknowledged: n };
    }
  throw new Error('the disk was never full');
}

async function expectAll(store: Store<Uint8Array>, acknowledged: number): Promise<void> {
  for (let n = 0; n < acknowledged; n++)
    expect(Buffer.compare((await store.get(`key${n}`)) as Uint8Array, Buffer.alloc(9_000, n))).toBe(
      0,
    );
}

const leftovers = (path: string): string[] =>
  existsSync(join(path, 'tmp')) ? readdirSync(join(path, 'tmp')) : [];

// Mounting takes rights that not everybody has; the title says what was missing.
describe.skipIf(!isMounted)(`a full disk${why}`, () => {
  it('gives no-space, keeps every old value, leaves nothing behind, and takes writes again', async () => {
    const path = emptied();
    const store = file({ path });
    const { error, acknowledged } = await fill(store);
    expect(error).toMatchObject({ code: 'no-space', operation: 'set' });
    expect(acknowledged).toBeGreaterThan(10);
    await expectAll(store, acknowledged);
    expect(await store.has(`key${acknowledged}`)).toBe(false);
    // A value that is there is not lost to a larger one that has no room.
    await expect(store.set('key1', Buffer.alloc(BYTES, 7))).rejects.toMatchObject({
      code: 'no-space',
    });
    await expectAll(store, acknowledged);
    expect(leftovers(path)).toEqual([]);
    for (let n = 0; n < 5; n++) expect(await store.delete(`key${n}`)).toBe(true);
    await store.set('late', Buffer.alloc(9_000, 1));
    await store.close();
    await using again = file({ path });
    expect(await Array.fromAsync(again.keys())).toHaveLength(acknowledged - 5 + 1);
  });

  it('does so where the system fills up beside the store', async () => {
    const path = emptied();
    const store = file({ path });
    await store.set('key0', Buffer.alloc(9_000, 0));
    const other = join(place, 'other');
    try {
      for (let n = 0; ; n++) writeFileSync(`${other}${n}`, Buffer.alloc(4_096));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
    for (const view of [store, store.blocking])
      await expect((async () => view.set('key0', Buffer.alloc(9_000, 9)))()).rejects.toMatchObject({
        code: 'no-space',
      });
    await expectAll(store, 1);
    expect(leftovers(path)).toEqual([]);
    await store.close();
  });

  it('of one member of a replica is told, holds nobody up once it is known, and is made up for', async () => {
    const path = emptied();
    const files = file({ path });
    const store = replica({ sync: [memory<Uint8Array>(), files], retry: { minMs: 5, maxMs: 20 } });
    const { error, acknowledged } = await fill(store);
    expect(error).toMatchObject({ code: 'unknown-outcome' });
    await expectAll(store, acknowledged);
    const next = await store.set('next', Buffer.alloc(9_000)).catch((failure: unknown) => failure);
    expect(isStrataError(next, 'unavailable', 'unknown-outcome')).toBe(true);
    expect(store.status().members[0]?.lastError).toMatchObject({ code: 'no-space' });
    // Room is made where there is none to be had through the replica.
    for (let n = 0; n < 10; n++) await files.delete(`key${n}`);
    system('mount', '-o', `remount,size=${BYTES * 4}`, place);
    expect(await store.flush({ timeoutMs: 10_000 })).toMatchObject({ behind: [] });
    await store.repair();
    await expectAll(files, acknowledged);
    await store.set('last', Buffer.alloc(9_000));
    await store.close();
  });
});
