/** Blobs over a replica: the same answers as over one store, and good copies in the place of damaged ones. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { collect, noise, SMALL } from '../../../test/support/blob-content.ts';
import { blobs } from '../../blobs/index.ts';
import { file } from '../../drivers/file/index.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { watchable } from '../../layers/watchable/index.ts';
import type { Store } from '../../store/store.ts';
import { type ReplicaStore, replica } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-blobs-'));
afterAll(() => rmSync(folder, { recursive: true }));
let stores = 0;
const path = (): string => join(folder, `${++stores}`);

const combinations: Record<string, () => ReplicaStore<Uint8Array>> = {
  'memory and file': () => replica({ sync: [memory(), file({ path: path(), durability: 'os' })] }),
  'lmdb, file and sqlite, memory behind': () =>
    replica({
      sync: [
        lmdb({ path: path(), durability: 'os' }),
        file({ path: path(), durability: 'os' }),
        sqlite({ path: path(), durability: 'os' }),
      ],
      async: [memory()],
      write: 2,
    }),
};

describe.each(Object.entries(combinations))('over %s', (_, open) => {
  test('put, get, list, split, join, anchor and sweep', async () => {
    await using store = open();
    const all = blobs(store, { graceMs: 0 });
    const small = noise(100, 7);
    const { ref, added } = await all.put(small);
    expect([added, (await all.put(small)).added]).toEqual([true, false]);
    expect(Buffer.from((await all.get(ref)) ?? [])).toEqual(Buffer.from(small));
    const bytes = noise(20_000);
    const tree = await all.split([bytes], SMALL);
    expect(Buffer.from(await collect(all.join(tree.ref)))).toEqual(Buffer.from(bytes));
    const part = await collect(all.join(tree.ref, { start: 5_000, end: 5_100 }));
    expect(Buffer.from(part)).toEqual(Buffer.from(bytes.subarray(5_000, 5_100)));
    const refs = await Array.fromAsync(all.listRefs());
    expect(refs).toEqual([...refs].sort());
    expect(refs).toContain(ref);
    await all.anchors.put('main', tree.ref);
    expect(await all.sweep()).toMatchObject({ swept: 1 });
    expect(await all.get(ref)).toBeUndefined();
    expect(await store.flush()).toMatchObject({ behind: [] });
    expect(await store.repair()).toMatchObject({ copied: 0, deleted: 0, adopted: 0 });
  });
});

/** Changes a byte in every file that holds some bytes. */
function damage(place: string, content: Uint8Array): number {
  let damaged = 0;
  for (const found of globSync(join(place, '**/*'), { withFileTypes: true })) {
    if (!found.isFile()) continue;
    const name = join(found.parentPath, found.name);
    const bytes = readFileSync(name);
    const at = bytes.indexOf(content);
    if (at < 0) continue;
    bytes[at + 10] = ~(bytes[at + 10] ?? 0) & 0xff;
    writeFileSync(name, bytes);
    damaged++;
  }
  return damaged;
}

/** Opens a replica of two members, with files in these places, and puts a blob into it. */
async function withBlob(
  ...places: readonly (string | undefined)[]
): Promise<{ store: ReplicaStore<Uint8Array>; ref: string; content: Uint8Array }> {
  const members = places.map((place, at): Store<Uint8Array> => {
    if (place === undefined) return lmdb({ path: path(), durability: 'os' });
    const files = file({ path: place, durability: 'os' });
    return at === 0 ? watchable(files) : files;
  });
  const store = replica({ sync: members });
  const content = noise(3_000);
  const { ref } = await blobs(store).put(content);
  await store.flush();
  return { store, ref, content };
}

describe('a blob that is damaged', () => {
  test.each([0, 1])('in sync[%i] is corrupt there, and given from the other', async (at) => {
    const place = path();
    const places = at === 0 ? [place, undefined] : [undefined, place];
    const { store, ref, content } = await withBlob(...places);
    expect(damage(place, content)).toBe(1);
    for (let tries = 0; tries < 5; tries++)
      expect(Buffer.from((await blobs(store).get(ref)) ?? [])).toEqual(Buffer.from(content));
    const [outcome] = await blobs(store).getMany([ref]);
    expect(outcome?.error).toBeUndefined();
    await store.close();
    await using alone = file({ path: place, durability: 'os' });
    await expect(blobs(alone).get(ref)).rejects.toMatchObject({ code: 'corrupt' });
  });

  test('in all members is corrupt', async () => {
    const places = [path(), path()];
    const { store, ref, content } = await withBlob(...places);
    for (const place of places) expect(damage(place, content)).toBe(1);
    await expect(blobs(store).get(ref)).rejects.toMatchObject({ code: 'corrupt' });
    await store.close();
  });
});
