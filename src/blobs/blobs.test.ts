import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { bytesOf, collect, noise, SMALL, shaOf } from '../../test/support/blob-content.ts';
import { tiered } from '../compositions/tiered/index.ts';
import { file } from '../drivers/file/index.ts';
import { lmdb } from '../drivers/lmdb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { sqlite } from '../drivers/sqlite/index.ts';
import { prefixed } from '../layers/prefixed.ts';
import { Call } from '../store/call.ts';
import { type Entry, primitivesOf, type Store, systemEnv } from '../store/index.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { blobs } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-blobs-'));
afterAll(() => rmSync(folder, { recursive: true }));
let stores = 0;
const path = (): string => join(folder, `${++stores}`);

const drivers: Record<string, () => Store<Uint8Array>> = {
  memory: () => memory(),
  file: () => file({ path: path(), durability: 'os' }),
  lmdb: () => lmdb({ path: path(), durability: 'os' }),
  sqlite: () => sqlite({ path: path(), durability: 'os' }),
  prefixed: () => prefixed(memory<Uint8Array>(), 'app:'),
};

describe.each(Object.entries(drivers))('blobs over %s', (_, open) => {
  it('are put once, and got by their hash', async () => {
    await using store = open();
    const all = blobs(store);
    const bytes = bytesOf('hello');
    const ref = shaOf(bytes);
    expect(await all.put(bytes)).toEqual({ ref, added: true });
    expect(await all.put(bytes)).toEqual({ ref, added: false });
    expect(Buffer.from((await all.get(ref)) ?? []).toString()).toBe('hello');
    expect(await all.has(ref)).toBe(true);
    expect(await all.get(shaOf(bytesOf('other')))).toBeUndefined();
    expect(await all.put(new Uint8Array(0))).toMatchObject({ ref: shaOf(new Uint8Array(0)) });
    expect(await all.delete(ref)).toBe(true);
    expect(await all.delete(ref)).toBe(false);
    expect(await all.get(ref)).toBeUndefined();
  });

  it('are what they were at the call, and are refused once the store is closed', async () => {
    const store = open();
    const all = blobs(store);
    const bytes = noise(3_000);
    const ref = shaOf(bytes);
    const putting = all.put(bytes);
    bytes.fill(0);
    expect(await putting).toEqual({ ref, added: true });
    const got = (await all.get(ref)) as Uint8Array;
    expect(shaOf(got)).toBe(ref);
    got.fill(0);
    expect(shaOf((await all.get(ref)) as Uint8Array)).toBe(ref);
    const reused = new Uint8Array(1_000);
    const source = (function* () {
      for (let n = 0; n < 20; n++) yield reused.fill(n);
    })();
    const { ref: tree } = await all.split(source, SMALL);
    const joined = await collect(all.join(tree));
    expect(joined).toHaveLength(20_000);
    for (let n = 0; n < 20; n++) expect(joined[n * 1_000 + 500]).toBe(n);
    await store.close();
    await expect(all.put(bytesOf('late'))).rejects.toMatchObject({ code: 'closed' });
    await expect(all.split(bytesOf('late'))).rejects.toMatchObject({ code: 'closed' });
    const [late] = await all.putMany([bytesOf('late')]);
    expect(late?.error).toMatchObject({ code: 'closed' });
  });

  it('are listed in the order of their refs, beyond any of them', async () => {
    await using store = open();
    const all = blobs(store);
    await store.set('blobs', bytesOf('not ours'));
    const put = await all.putMany(Array.from({ length: 50 }, (_, n) => bytesOf(`blob ${n % 40}`)));
    const refs = [...new Set(put.map(({ ref }) => ref))].sort();
    expect(put.filter(({ added }) => added)).toHaveLength(40);
    expect(await Array.fromAsync(all.listRefs())).toEqual(refs);
    for (const at of [0, 17, 39])
      expect(await Array.fromAsync(all.listRefs({ after: refs[at] as string }))).toEqual(
        refs.slice(at + 1),
      );
    const between = `${(refs[3] as string).slice(0, 63)}g`.replace('g', 'f');
    expect(await Array.fromAsync(all.listRefs({ after: between, limit: 2 }))).toEqual(
      refs.filter((ref) => ref > between).slice(0, 2),
    );
    const got = await all.getMany([...refs, shaOf(bytesOf('no'))]);
    expect(got.map(({ bytes }) => bytes && shaOf(bytes))).toEqual([...refs, undefined]);
    expect(got.at(-1)).toEqual({ ref: shaOf(bytesOf('no')) });
  });

  it('come out of a split as they went in, in any range', async () => {
    await using store = open();
    const all = blobs(store);
    const content = noise(200_000);
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < content.length; at += 7_777) yield content.subarray(at, at + 7_777);
    };
    const done = await all.split(stream(), SMALL);
    expect(done).toMatchObject({ added: true, bytes: 200_000, addedBytes: 200_000 });
    expect(await all.split(content, SMALL)).toEqual({
      ...done,
      added: false,
      addedChunks: 0,
      addedBytes: 0,
    });
    expect(await all.size(done.ref)).toBe(200_000);
    expect(Buffer.compare(await collect(all.join(done.ref)), content)).toBe(0);
    const ranges = [
      [0, 0],
      [0, 1],
      [199_999, 200_000],
      [5, 100_005],
      [77_777, undefined],
      [200_000, 300_000],
    ];
    for (const [start = 0, end] of ranges) {
      const part = await collect(all.join(done.ref, { start, ...(end !== undefined && { end }) }));
      expect(Buffer.compare(part, content.subarray(start, end))).toBe(0);
    }
    const parts = await Array.fromAsync(all.tree(done.ref));
    const chunks = parts.filter(({ kind }) => kind === 'chunk');
    expect(chunks).toHaveLength(done.chunks);
    expect(Math.max(...parts.map(({ depth }) => depth))).toBeGreaterThan(1);
    let at = 0;
    for (const { offset, size } of chunks) {
      expect(offset).toBe(at);
      at += size;
    }
  });
});

describe('split', () => {
  it('of anything is joined again: nothing, one byte, and by property', async () => {
    const all = blobs(memory());
    const property = fc.asyncProperty(
      fc.uint8Array({ maxLength: 5_000 }),
      fc.integer({ min: 0, max: 5_000 }),
      fc.integer({ min: 0, max: 5_000 }),
      async (bytes, a, b) => {
        const { ref } = await all.split(bytes, { minBytes: 64, meanBytes: 64, maxBytes: 64 });
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        const part = await collect(all.join(ref, { start, end }));
        expect(Buffer.compare(part, bytes.subarray(start, end))).toBe(0);
      },
    );
    await fc.assert(property, { numRuns: 100 });
    for (const bytes of [new Uint8Array(0), Uint8Array.of(7)])
      expect(Buffer.compare(await collect(all.join((await all.split(bytes)).ref)), bytes)).toBe(0);
  });

  it('stores of a changed version what is new, and few nodes', async () => {
    const all = blobs(memory());
    const before = noise(400_000);
    const after = Buffer.concat([
      before.subarray(0, 1_000),
      Buffer.from('new'),
      before.subarray(1_000),
    ]);
    await all.split(before, SMALL);
    const nodes = (await Array.fromAsync(all.listRefs({ kind: 'tree' }))).length;
    const { addedBytes, addedChunks, chunks } = await all.split(after, SMALL);
    expect(chunks).toBeGreaterThan(1_000);
    expect(addedChunks).toBeLessThan(5);
    expect(addedBytes).toBeLessThan(5_000);
    const more = (await Array.fromAsync(all.listRefs({ kind: 'tree' }))).length - nodes;
    expect(more).toBeLessThan(5);
  });

  it('holds back a source that is faster than the store', async () => {
    const plan = new FaultPlan();
    const store = faulty(memory<Uint8Array>(), plan);
    const all = blobs(store, { concurrency: 3 });
    plan.hangNext('commit', { times: 3 });
    let given = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (; given < 100; given++) yield noise(1_024, given);
    };
    const sizes = { minBytes: 1_024, meanBytes: 1_024, maxBytes: 1_024 };
    const splitting = all.split(source(), { ...sizes, timeoutMs: 60_000 });
    while (plan.calls('commit') < 3) await new Promise((resolve) => setImmediate(resolve));
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
    expect(given).toBeLessThan(5);
    plan.release();
    expect((await splitting).chunks).toBe(100);
  });

  it('fails with its source or its store, when all that was begun has ended', async () => {
    const plan = new FaultPlan();
    const all = blobs(faulty(memory<Uint8Array>(), plan));
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield noise(5_000);
      throw new RangeError('the source broke');
    };
    await expect(all.split(broken(), SMALL)).rejects.toThrow('the source broke');
    plan.failNext('commit', 'no-space', { after: 5 });
    await expect(all.split(noise(50_000, 9), SMALL)).rejects.toMatchObject({ code: 'no-space' });
    const calls = plan.calls('commit');
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
    expect(plan.calls('commit')).toBe(calls);
    const stop = AbortSignal.abort();
    await expect(all.split(noise(5_000), { signal: stop })).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});

describe('damage', () => {
  it('of a blob, a chunk or a node is corrupt, each by itself; what is missing is data-missing', async () => {
    const store = memory<Uint8Array>();
    const all = blobs(store);
    const [good, bad] = await all.putMany([bytesOf('good'), bytesOf('bad')]);
    const wrong = async (key: string): Promise<void> => {
      await store.delete(key);
      await store.set(key, bytesOf('wrong'), { immutable: true });
    };
    await wrong(`blobs/b/${bad?.ref}`);
    await expect(all.get(bad?.ref as string)).rejects.toMatchObject({ code: 'corrupt' });
    const outcomes = await all.getMany([good?.ref as string, bad?.ref as string]);
    expect(outcomes.map(({ bytes, error }) => bytes?.length ?? error?.code)).toEqual([
      4,
      'corrupt',
    ]);
    // Putting it again brings the right content back.
    expect(await all.put(bytesOf('bad'))).toEqual({ ref: bad?.ref, added: true });
    expect(await all.get(bad?.ref as string)).toHaveLength(3);

    const { ref } = await all.split(noise(50_000), SMALL);
    const parts = await Array.fromAsync(all.tree(ref));
    const chunk = parts.findLast(({ kind }) => kind === 'chunk');
    await wrong(`blobs/b/${chunk?.ref}`);
    await expect(collect(all.join(ref))).rejects.toMatchObject({ code: 'corrupt' });
    expect(await collect(all.join(ref, { end: 100 }))).toHaveLength(100);
    await all.delete(chunk?.ref as string);
    await expect(collect(all.join(ref))).rejects.toMatchObject({ code: 'data-missing' });
    await wrong(`blobs/t/${ref}`);
    await expect(all.size(ref)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(collect(all.join(shaOf(bytesOf('none'))))).rejects.toMatchObject({
      code: 'data-missing',
    });
  });

  it('of a copy is made good by the store behind it', async () => {
    const front = memory<Uint8Array>();
    const all = blobs(tiered({ front, back: memory<Uint8Array>() }));
    const { ref } = await all.put(bytesOf('right'));
    const key = `blobs/b/${ref}`;
    await all.get(ref);
    const copy = primitivesOf(front).readOne(
      key,
      Call.background(systemEnv, 'test'),
    ) as Entry<Uint8Array>;
    const write = { ...copy, type: 'set', value: bytesOf('wrong') } as const;
    await primitivesOf(front).commit([write], Call.background(systemEnv, 'test'));
    expect(Buffer.from((await front.get(key)) ?? []).toString()).toBe('wrong');
    expect(Buffer.from((await all.get(ref)) ?? []).toString()).toBe('right');
  });

  it('or failure of one of several does not stop the others', async () => {
    const plan = new FaultPlan();
    const all = blobs(faulty(memory<Uint8Array>(), plan), { concurrency: 1 });
    plan.failNext('commit', 'unavailable', { after: 1 });
    const put = await all.putMany([bytesOf('a'), bytesOf('b'), bytesOf('c')]);
    expect(put.map(({ added, error }) => added ?? error?.code)).toEqual([
      true,
      'unavailable',
      true,
    ]);
    plan.failNext('read', 'unavailable', { after: 2 });
    const got = await all.getMany(put.map(({ ref }) => ref));
    expect(got.map(({ bytes, error }) => bytes?.length ?? error?.code)).toEqual([
      1,
      undefined,
      'unavailable',
    ]);
  });
});

describe('bad input', () => {
  it('is refused before anything is done', async () => {
    const all = blobs(memory());
    const ref = shaOf(bytesOf('a'));
    const calls: (() => unknown)[] = [
      () => all.get('abc'),
      () => all.get(ref.toUpperCase()),
      () => all.getMany([ref, 'x']),
      () => all.delete(`${ref}0`),
      () => all.put('text' as unknown as Uint8Array),
      () => all.putMany([bytesOf('a'), 5 as unknown as Uint8Array]),
      () => all.split('text' as unknown as Uint8Array),
      () => all.split(bytesOf('a'), { meanBytes: 1_000 }),
      () => all.split(bytesOf('a'), { minBytes: 1 }),
      () => all.split(bytesOf('a'), { maxBytes: 100 }),
      () => all.split(bytesOf('a'), { max: 5 } as object),
      () => all.join(ref, { start: 5, end: 4 }).next(),
      () => all.join(ref, { start: -1 }).next(),
      () => all.listRefs({ after: 'x' }).next(),
      () => all.anchors.put('', ref),
      () => all.anchors.put('x', 'y'),
      () => all.anchors.put('x', ref, { ttlMs: 5, expiresAt: 5 }),
      () => all.anchors.get('x', Number.NaN),
      () => all.sweep({ olderThanMs: 5 } as object),
    ];
    for (const call of calls)
      await expect((async () => call())()).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(await Array.fromAsync(all.listRefs())).toEqual([]);
    expect(() => blobs(memory(), { concurrency: 0 })).toThrow(/concurrency/);
    expect(() => blobs({} as Store<Uint8Array>)).toThrow(/store/);
  });
});
