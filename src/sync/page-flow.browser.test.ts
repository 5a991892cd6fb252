/** What a page does with linked data: memory over IndexedDB, warmed, then live; a change of the root finds its whole tree in memory. */
import * as dagCbor from '@ipld/dag-cbor';
import { deleteDB } from 'idb';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { afterEach, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { Line } from '../../test/support/sync-world.ts';
import { tiered, warmReachable } from '../compositions/tiered/index.ts';
import { indexeddb } from '../drivers/indexeddb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import type { Store } from '../store/store.ts';
import type { Walker } from '../walk/index.ts';
import { ipldWalker } from '../walk/ipld.ts';
import { publish, type Subscription, subscribe } from './index.ts';

const ROOT = 'root';
const WIDTH = 8;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const blocks = ipldWalker();
/** The root names a block by its CID. */
const walker: Walker<Uint8Array> = (key, value) =>
  key === ROOT ? [words(value) ?? ''] : blocks(key, value);

async function put(store: Store<Uint8Array>, data: unknown): Promise<CID> {
  const block = dagCbor.encode(data);
  const cid = CID.createV1(dagCbor.code, await sha256.digest(block));
  await store.set(cid.toString(), block, { immutable: true });
  return cid;
}

/** Two levels of blocks; those that no change touches are the same in every tree. */
async function writeTree(store: Store<Uint8Array>, changed: number): Promise<void> {
  const inner: CID[] = [];
  for (let at = 0; at < WIDTH; at++) {
    const leaves: CID[] = [];
    for (let leaf = 0; leaf < WIDTH; leaf++) {
      const version = at === changed % WIDTH && leaf === 0 ? changed : 0;
      leaves.push(await put(store, { at, leaf, version }));
    }
    inner.push(await put(store, { leaves }));
  }
  const top = await put(store, { inner });
  await store.set(ROOT, bytes(top.toString()));
}

/** Every key of the tree that is in the store; what is not there is counted. */
async function readTree(store: Store<Uint8Array>): Promise<{ found: number; missing: number }> {
  const result = { found: 0, missing: 0 };
  const keys = [ROOT];
  for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
    const value = await store.get(key);
    if (value === undefined) result.missing++;
    else {
      result.found++;
      for await (const link of walker(key, value)) keys.push(link);
    }
  }
  return result;
}

const WHOLE = { found: 2 + WIDTH + WIDTH * WIDTH, missing: 0 };

it('walks the new tree without a miss at every change of the root, also after a reload', async () => {
  const source = memory<Uint8Array>();
  await writeTree(source, 1);
  const line = new Line(
    publish(source, { walk: { roots: [ROOT], walker }, scope: 'tree', limits: { batchKeys: 16 } }),
  );
  const name = `page-flow-${crypto.randomUUID()}`;
  opened.push(() => deleteDB(name));
  const trees: { found: number; missing: number }[] = [];
  /** A page as it is loaded: warmed first, then subscribed. */
  const load = async (): Promise<{
    page: Store<Uint8Array>;
    subscription: Subscription<Uint8Array>;
  }> => {
    const front = memory<Uint8Array>();
    const back = indexeddb<Uint8Array>({ name });
    const page = tiered({ front, back, read: 'front-only' });
    opened.push(() => page.close());
    await warmReachable(front, back, [ROOT], walker);
    const subscription = subscribe(line, page, { reconnect: { baseMs: 5, capMs: 50 } });
    opened.push(() => subscription.close());
    return { page, subscription };
  };
  const follow = async (
    { page, subscription }: Awaited<ReturnType<typeof load>>,
    changes: readonly number[],
  ): Promise<void> => {
    let walks = Promise.resolve();
    subscription.onChange({ key: ROOT }, () => {
      walks = walks.then(async () => void trees.push(await readTree(page)));
    });
    for (const changed of changes) {
      const before = trees.length;
      await writeTree(source, changed);
      await expect.poll(() => trees.length).toBeGreaterThan(before);
    }
    await walks;
  };
  const first = await load();
  await first.subscription.ready;
  expect(await readTree(first.page)).toEqual(WHOLE);
  await follow(first, [2, 3, 4]);
  await first.subscription.close();
  await first.page.close();
  // While the page is away.
  await writeTree(source, 5);
  const second = await load();
  expect(await readTree(second.page)).toEqual(WHOLE);
  await second.subscription.ready;
  expect(await readTree(second.page)).toEqual(WHOLE);
  expect(second.subscription.status()).toMatchObject({ snapshots: 0, resumes: 1 });
  await follow(second, [6, 7, 8]);
  expect(trees.length).toBeGreaterThanOrEqual(6);
  for (const tree of trees) expect(tree).toEqual(WHOLE);
});
