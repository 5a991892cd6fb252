import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../../test/support/engines.ts';
import { faultyCold } from '../../../../test/support/faulty-cold.ts';
import { redisClients } from '../../../../test/support/redis-clients.ts';
import { file } from '../../../drivers/file/index.ts';
import { lmdb } from '../../../drivers/lmdb/index.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { redis } from '../../../drivers/redis/index.ts';
import { sqlite } from '../../../drivers/sqlite/index.ts';
import { encoded } from '../../../layers/encoded/index.ts';
import { json } from '../../../store/codec.ts';
import type { Store } from '../../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../../testing/index.ts';
import { type Archive, type ArchiveOptions, archive, storeKeys } from '../index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = async (store: Store<Uint8Array>, key: string): Promise<string | undefined> => {
  const value = await store.get(key);
  return value && new TextDecoder().decode(value);
};

interface World {
  readonly hot: Store<Uint8Array>;
  readonly hotPlan: FaultPlan;
  readonly cold: Store<Uint8Array>;
  readonly plan: FaultPlan;
  readonly one: Archive;
  another(more?: Partial<ArchiveOptions>): Archive;
}

function worldOver(inner: Store<Uint8Array>, options: Partial<ArchiveOptions> = {}): World {
  const hotPlan = new FaultPlan();
  const hot = faulty(inner, hotPlan);
  const plan = new FaultPlan();
  const cold = faultyCold(plan);
  const another = (more: Partial<ArchiveOptions> = {}): Archive =>
    archive({ hot, cold, throttleMs: 0, evictAfterMs: 1, ...options, ...more });
  return { hot, hotPlan, cold, plan, one: another(), another };
}

async function evicted({ hot, one }: World, key: string, value: string): Promise<void> {
  await hot.set(key, bytes(value));
  await one.dirty(key);
  await one.drain();
  expect(await one.evict(key)).toEqual({ evicted: 1, kept: [] });
  expect(await hot.has(key)).toBe(false);
}

const LONG = 'k'.repeat(512);

function cases(make: () => Promise<Store<Uint8Array>>): void {
  let store: Store<Uint8Array>;
  beforeAll(async () => {
    store = await make();
  });
  afterAll(async () => {
    await store.close();
  });

  it('brings back values with all that is known of them', async () => {
    const { hot, one, cold } = worldOver(store);
    const expiresAt = Date.now() + 1_000_000;
    await hot.set('plain', bytes('value'));
    await hot.set('empty', new Uint8Array(0));
    await hot.set('large', new Uint8Array(1_000_000).fill(7));
    await hot.set('rich', bytes('v'), { expiresAt, meta: { b: 1, a: { d: 'e', c: [null] } } });
    await hot.set('fixed', bytes('v'), { immutable: true });
    for (const key of ['foo:♡', 'foo:♥', 'foo:?', LONG, 'strata-archive:clock'])
      await hot.set(key, bytes(key));
    const keys = await Array.fromAsync(hot.keys());
    const before = await Array.fromAsync(hot.list());
    await one.dirty(...keys);
    expect(await one.stats()).toMatchObject({ dirty: keys.length, evicted: 0 });
    expect(await one.drain()).toEqual({ frozen: keys.length, deleted: 0, failed: [] });
    expect(await Array.fromAsync(cold.keys())).toHaveLength(keys.length + 1);
    expect(await one.evict(...keys)).toEqual({ evicted: keys.length, kept: [] });
    expect(await Array.fromAsync(hot.keys())).toEqual([]);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: keys.length });
    await one.ensure(...keys);
    const after = await Array.fromAsync(hot.list());
    const known = ({ version: _, rev: __, ...rest }: (typeof after)[number]): object => rest;
    expect(after.map(known)).toEqual(before.map(known));
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
    // What came back is what was frozen.
    expect(await one.evict(...keys)).toEqual({ evicted: keys.length, kept: [] });
    expect(await one.forget(...keys)).toBe(keys.length);
    await one.ensure(...keys);
    expect(await Array.fromAsync(hot.keys())).toEqual([]);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  });

  it('loses no mark and evicts nothing while the cold store is away (A20)', async () => {
    const world = worldOver(store);
    const { hot, one, plan } = world;
    await evicted(world, 'k', 'old');
    await one.ensure('k');
    await hot.set('k', bytes('new'));
    await one.dirty('k');
    plan.failNext('read', 'unavailable', { times: 3 });
    plan.failNext('commit', 'unavailable', { times: 3 });
    expect((await one.drain()).failed).toMatchObject([
      { key: 'k', error: { code: 'unavailable' } },
    ]);
    expect(await one.failed()).toMatchObject([{ key: 'k', tries: 1 }]);
    expect(await one.evict('k')).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
    plan.heal();
    await expect.poll(async () => (await one.drain()).frozen, { timeout: 5_000 }).toBe(1);
    expect(await one.stats()).toMatchObject({ dirty: 0, failing: 0 });
    await one.evict('k');
    await one.ensure('k');
    expect(await text(hot, 'k')).toBe('new');
    await one.forget('k');
  });

  it('lets any number restore at once, over nothing newer (A21)', async () => {
    const world = worldOver(store);
    const { hot, one, another } = world;
    await evicted(world, 'k', 'v');
    const all = [one, another(), another()];
    await Promise.all(all.flatMap((each) => [each.ensure('k'), each.ensure('k')]));
    expect(await text(hot, 'k')).toBe('v');
    await one.evict('k');
    await hot.set('k', bytes('over it'));
    await one.ensure('k');
    expect(await text(hot, 'k')).toBe('over it');
    expect(await one.stats()).toMatchObject({ dirty: 1, evicted: 0 });
    await one.drain();
    await one.evict('k');
    await one.ensure('k');
    expect(await text(hot, 'k')).toBe('over it');
    await one.forget('k');
  });

  it('marks instead of evicting what was changed without a mark', async () => {
    const world = worldOver(store);
    const { hot, one } = world;
    await evicted(world, 'k', 'v');
    for (const change of [
      () => hot.set('k', bytes('other')),
      () => hot.set('k', bytes('other'), { meta: { a: 1 } }),
      () => hot.set('k', bytes('other'), { ttlMs: 600_000 }),
    ]) {
      await one.ensure('k');
      await change();
      expect(await one.evict('k')).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
      expect(await one.drain()).toMatchObject({ frozen: 1 });
      expect(await one.evict('k')).toMatchObject({ evicted: 1 });
    }
    await one.forget('k');
  });

  it('lets no eviction take what is written in its midst', async () => {
    const { hot, hotPlan, one } = worldOver(store);
    await hot.set('k', bytes('frozen'));
    await one.dirty('k');
    await one.drain();
    // The commit of the eviction has been decided, and is late.
    hotPlan.hangNext('commit');
    const marking = one.evict('k');
    await expect.poll(() => hotPlan.hanging).toBe(1);
    hotPlan.hangNext('commit');
    hotPlan.release();
    await expect.poll(() => hotPlan.hanging).toBe(1);
    await store.set('k', bytes('written'));
    hotPlan.release();
    expect(await marking).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
    expect(await text(hot, 'k')).toBe('written');
    await one.forget('k');
  });

  it('keeps one mark of a key that is written again and again while it is frozen (A25)', async () => {
    const { hot, one, plan } = worldOver(store);
    await hot.set('k', bytes('0'));
    await one.dirty('k');
    plan.hangNext('commit');
    const draining = one.drain();
    await expect.poll(() => plan.hanging).toBe(1);
    for (let n = 1; n <= 20; n++) {
      await hot.set('k', bytes(String(n)));
      await Promise.all(Array.from({ length: 20 }, () => one.dirty('k')));
    }
    expect((await one.stats()).dirty).toBe(1);
    plan.release();
    await draining;
    await one.drain();
    expect((await one.stats()).dirty).toBe(0);
    await one.evict('k');
    await one.ensure('k');
    expect(await text(hot, 'k')).toBe('20');
    await one.forget('k');
  });

  it('names what it cannot mark, and refuses what is no key', async () => {
    const { hot, one } = worldOver(store);
    await hot.set('there', bytes('v'));
    await expect(one.dirty('gone', 'there', 'missing')).rejects.toMatchObject({
      code: 'invalid-argument',
      details: { missing: ['gone', 'missing'] },
    });
    expect((await one.stats()).dirty).toBe(1);
    for (const key of ['', '\0a', Uint8Array.of(0xff), 'k'.repeat(1_000), '\ud800'])
      await expect(one.ensure('there', key)).rejects.toMatchObject({ code: 'invalid-argument' });
    await one.forget('there');
  });

  it('shares the work among archives, and keeps namespaces apart', async () => {
    const { hot, one, another } = worldOver(store);
    const other = another({ hot: storeKeys(store, { namespace: 'other', prefix: 'k' }) });
    const keys = Array.from({ length: 50 }, (_, n) => `k${n}`);
    await hot.setMany(keys.map((key) => [key, bytes(key)]));
    await Promise.all([one.dirty(...keys), other.dirty(...keys)]);
    const done = await Promise.all([one.drain(), another().drain(), another().drain()]);
    expect(done.reduce((sum, { frozen }) => sum + frozen, 0)).toBe(50);
    expect(await other.drain()).toMatchObject({ frozen: 50 });
    await expect(other.ensure('x')).rejects.toMatchObject({ code: 'invalid-argument' });
    const gone = await Promise.all([one.evict(...keys), another().evict(...keys)]);
    // What another has evicted counts as evicted; what another has in hand, as dirty.
    expect(gone.reduce((sum, part) => sum + part.evicted, 0)).toBeGreaterThanOrEqual(50);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 50 });
    await Promise.all([one.ensure(...keys), another().ensure(...keys)]);
    expect(await hot.hasMany(keys)).toEqual(new Set(keys));
    await Promise.all([one.forget(...keys), other.forget(...keys)]);
    expect(await other.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  });
}

describe('archive over memory', () => cases(async () => memory<Uint8Array>()));

describe.each(['lmdb', 'sqlite'] as const)('archive over %s', (name) => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'archive-hot-'));
  });
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true });
  });
  const open = { lmdb, sqlite };
  cases(async () => open[name]({ path: join(dir, 'hot') }));
});

describeWithEngine('redis', 'archive over a store in Redis', () => {
  const { client, end } = redisClients.ioredis(redisUrl());
  afterAll(end);
  cases(async () => redis({ client, prefix: `archive-hot-${process.pid}` }));
});

describe('archive over a store', () => {
  it('counts idle time from the last write, or the last time that it was asked for', async () => {
    const env = simulatedEnv();
    const hot = memory<Uint8Array>({ env });
    const one = archive({ hot, cold: memory(), evictAfterMs: 3_600_000 });
    await hot.set('used', bytes('v'));
    await hot.set('unused', bytes('v'));
    await one.dirty('used', 'unused');
    await one.drain();
    await env.advance(3_599_999);
    expect(await one.evictIdle()).toEqual({ evicted: 0, kept: [] });
    await one.ensure('used');
    await env.advance(1);
    expect(await one.evictIdle()).toEqual({ evicted: 1, kept: [] });
    expect(await Array.fromAsync(hot.keys())).toEqual(['used']);
    await env.advance(3_599_999);
    await one.ensure('unused');
    expect(await one.evictIdle()).toEqual({ evicted: 1, kept: [] });
    // What came back was used at that time.
    expect(await Array.fromAsync(hot.keys())).toEqual(['unused']);
    await env.advance(3_600_000);
    expect(await one.evictIdle()).toEqual({ evicted: 1, kept: [] });
  });

  it('keeps away what has expired, before its freeze and after its eviction', async () => {
    const env = simulatedEnv();
    const hot = memory<Uint8Array>({ env });
    const one = archive({ hot, cold: memory({ env }) });
    await hot.set('before', bytes('v'), { ttlMs: 1_000 });
    await hot.set('after', bytes('v'), { ttlMs: 2_000 });
    await one.dirty('before', 'after');
    await env.advance(1_000);
    expect(await one.drain()).toEqual({ frozen: 1, deleted: 1, failed: [] });
    expect(await one.evict('after')).toMatchObject({ evicted: 1 });
    await env.advance(1_000);
    await one.ensure('before', 'after');
    expect(await Array.fromAsync(hot.keys())).toEqual([]);
    expect(await one.stats()).toMatchObject({ evicted: 0 });
    expect(await one.drain()).toMatchObject({ deleted: 1 });
  });

  it('takes values as they are stored, and refuses those that are no bytes', async () => {
    const inner = memory<Uint8Array>();
    const hot = encoded(inner, { codec: json<{ n: number }>() });
    const one = archive({ hot, cold: memory() });
    await hot.set('k', { n: 1 });
    await one.dirty('k');
    await one.drain();
    await one.evict('k');
    expect(await Array.fromAsync(inner.keys())).toEqual([]);
    await one.ensure('k');
    expect(await hot.get('k')).toEqual({ n: 1 });
    const bare = memory<{ n: number }>();
    await bare.set('k', { n: 1 });
    const other = archive({ hot: bare, cold: memory() });
    await expect(other.dirty('k')).rejects.toMatchObject({ code: 'unsupported', key: 'k' });
    await expect(other.ensure('k')).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('refuses stores on which what it promises would not hold', async () => {
    const cold = memory<Uint8Array>();
    const dir = await mkdtemp(join(tmpdir(), 'archive-hot-'));
    const files = file({ path: dir });
    expect(() => archive({ hot: files, cold })).toThrow(/no atomic batches/);
    await files.close();
    await rm(dir, { recursive: true });
    expect(() => archive({ hot: memory({ maxEntries: 10 } as never), cold })).toThrow();
    expect(() => archive({ hot: {}, cold } as never)).toThrow(/the option hot is/);
    expect(() => storeKeys(cold, { prefic: 'a' } as never)).toThrow(/prefic/);
    const one = archive({ hot: memory(), cold });
    expect(() => one.dirtyAtomically({} as never, ['a'])).toThrow(/no transactions/);
  });

  it('refuses to keep cold objects among the keys that it evicts', async () => {
    const cold = memory<Uint8Array>();
    for (const prefix of ['', 'strata', 'strata-archive/k/'])
      expect(() => archive({ hot: storeKeys(cold, { prefix }), cold })).toThrow(/another store/);
    expect(() => archive({ hot: cold, cold })).toThrow(/another store/);
    const one = archive({ hot: storeKeys(cold, { prefix: 'user/' }), cold, throttleMs: 0 });
    await cold.set('user/1', bytes('v'));
    await one.dirty('user/1');
    await one.drain();
    expect(await one.evict('user/1')).toMatchObject({ evicted: 1 });
    await one.ensure('user/1');
    expect(await text(cold, 'user/1')).toBe('v');
  });
});
