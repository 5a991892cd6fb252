/** IPLD blocks under a head that moves, from real engines. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { afterAll, describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { describeWithEngine, redisUrl } from '../../test/support/engines.ts';
import { Line } from '../../test/support/sync-world.ts';
import { lmdb } from '../drivers/lmdb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { redis } from '../drivers/redis/index.ts';
import { sqlite } from '../drivers/sqlite/index.ts';
import type { Store } from '../store/store.ts';
import { sweep, type Walker, walk } from '../walk/index.ts';
import { ipldWalker } from '../walk/ipld.ts';
import { publish, subscribe } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-blocks-'));
afterAll(() => rmSync(folder, { recursive: true }));

const blocks = ipldWalker();
const HEAD = 'head';
/** The head holds the CID of the newest tree as text. */
const walker: Walker<Uint8Array> = (key, value) =>
  key === HEAD ? [words(value) ?? ''] : blocks(key, value);

async function put(store: Store<Uint8Array>, data: unknown): Promise<CID> {
  const block = dagCbor.encode(data);
  const cid = CID.createV1(dagCbor.code, await sha256.digest(block));
  await store.set(cid.toString(), block, { immutable: true });
  return cid;
}

/** A tree over some leaves; writes what is not there yet, the head last. */
async function publishTree(store: Store<Uint8Array>, leaves: readonly string[]): Promise<string[]> {
  const cids: CID[] = [];
  for (const leaf of leaves) cids.push(await put(store, { leaf }));
  const inner: CID[] = [];
  for (let at = 0; at < cids.length; at += 10)
    inner.push(await put(store, { links: cids.slice(at, at + 10) }));
  const top = await put(store, { inner });
  await store.set(HEAD, bytes(top.toString()));
  return [...cids, ...inner, top].map(String);
}

async function reached(store: Store<Uint8Array>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of walk(store, [HEAD], walker)) keys.push(key);
  return keys.sort();
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `leaf ${from + n}`);

async function livesOn(store: Store<Uint8Array>): Promise<void> {
  const local = memory<Uint8Array>();
  const publication = publish(store, { walk: { roots: [HEAD], walker }, scope: 'tree' });
  const line = new Line(publication);
  await publishTree(store, numbered(0, 120));
  const subscription = subscribe(line, local);
  await subscription.ready;
  expect(await reached(local)).toEqual(await reached(store));
  // Each head is whole when it is told of, though many are skipped.
  const told: Promise<unknown>[] = [];
  subscription.onChange(HEAD, () => told.push(reached(local)));
  for (let n = 1; n <= 5; n++) await publishTree(store, numbered(n * 10, 120 + n * 10));
  const up = async (): Promise<void> =>
    expect
      .poll(async () => words(await local.get(HEAD)), { timeout: 10_000 })
      .toBe(words(await store.get(HEAD)));
  await up();
  await Promise.all(told);
  expect(told.length).toBeGreaterThan(0);
  expect(await reached(local)).toEqual(await reached(store));
  await sweep(local, [HEAD], walker, { olderThan: await local.cursor() });
  await subscription.close();
  const { sentBytes: before } = publication.stats();
  // Back to the first leaves: blocks that never changed, and that were swept here.
  await publishTree(store, numbered(0, 120));
  const second = subscribe(line, local);
  await second.ready;
  await up();
  expect(second.status()).toMatchObject({ resumes: 1, snapshots: 0 });
  expect(await reached(local)).toEqual(await reached(store));
  // About a third of the tree is new to the copy.
  const whole = (await reached(store)).length;
  const sent = publication.stats().sentOperations;
  expect(sent).toBeLessThan(whole * 4);
  expect(publication.stats().sentBytes - before).toBeLessThan(12_000);
  await second.close();
  await publication.close();
}

const title = 'of blocks is sent as its head moves, whole each time';
describe('a tree in memory', () => it(title, () => livesOn(memory<Uint8Array>())));
describe('a tree in lmdb', () =>
  it(title, async () => {
    await using store = lmdb({ path: join(folder, 'lmdb'), durability: 'os' });
    await livesOn(store);
  }));
describe('a tree in sqlite', () =>
  it(title, async () => {
    await using store = sqlite({ path: join(folder, 'db'), durability: 'os' });
    await livesOn(store);
  }));
describeWithEngine('redis', 'a tree in Redis', () => {
  it(title, async () => {
    await using store = redis({ url: redisUrl(), prefix: `blocks-${crypto.randomUUID()}` });
    await livesOn(store);
    await store.clear();
  });
});
