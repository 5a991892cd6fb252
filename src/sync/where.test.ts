import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../test/support/engines.ts';
import { Line } from '../../test/support/sync-world.ts';
import { lmdb } from '../drivers/lmdb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { redis } from '../drivers/redis/index.ts';
import { json } from '../store/codec.ts';
import type { Entry } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import { systemEnv } from '../store/system-env.ts';
import { randomId } from '../store/version.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { type Publication, type PublishOptions, publish, subscribe } from './index.ts';

interface Note {
  readonly open: boolean;
  readonly n: number;
}

const codec = json<Note>();
const LIMITS = { comparedKeys: 0 };
const isOpen = (entry: Entry<Note>): boolean => entry.value.open;

async function held(store: Store<Note>): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const { key, value } of store.list()) found[key] = value.n;
  return found;
}

async function wanted(store: Store<Note>): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const entry of store.list()) if (isOpen(entry)) found[entry.key] = entry.value.n;
  return found;
}

interface World {
  readonly world: SimulatedEnv;
  readonly store: Store<Note>;
  readonly local: Store<Note>;
}

function small(seed = 1): World {
  const world = simulatedEnv(seed);
  return {
    world,
    store: memory<Note>({ env: world, tombstoneBytes: 300, logBytes: 2_000 }),
    local: memory<Note>({ env: world }),
  };
}

function open(store: Store<Note>, options: PublishOptions<Note> = {}): Publication {
  return publish(store, { codec, where: isOpen, limits: LIMITS, scope: 'open', ...options });
}

describe('entries that where refuses', () => {
  it('are not in the snapshot, go with the change that makes them so, and come back', async () => {
    const { world, store, local } = small();
    await store.set('a', { open: true, n: 1 });
    await store.set('b', { open: false, n: 2 });
    await local.set('mine', { open: false, n: 9 });
    const subscription = subscribe(new Line(open(store)), local, { codec });
    const heard: unknown[] = [];
    subscription.onChange('', ({ key, deleted }) => heard.push([key, deleted]));
    await world.advance(5);
    expect(await held(local)).toEqual({ a: 1, mine: 9 });
    await store.set('a', { open: false, n: 3 });
    await store.set('b', { open: true, n: 4 });
    await world.advance(5);
    expect(await held(local)).toEqual({ b: 4, mine: 9 });
    await store.set('mine', { open: false, n: 5 });
    await world.advance(5);
    expect(await held(local)).toEqual({ b: 4, mine: 9 });
    expect(heard).toEqual([
      ['a', false],
      ['a', true],
      ['b', false],
    ]);
    await subscription.close();
  });

  it('go as well where metadata or an expiry decides', async () => {
    const { world, store, local } = small();
    const where = ({ meta, expiresAt }: Entry<Note>): boolean =>
      meta?.for === 'all' && expiresAt === undefined;
    const subscription = subscribe(new Line(open(store, { where })), local, { codec });
    const note = { open: true, n: 1 };
    await store.set('a', note, { meta: { for: 'all' } });
    await store.set('b', note, { meta: { for: 'all' } });
    await world.advance(5);
    expect(await held(local)).toEqual({ a: 1, b: 1 });
    await store.set('a', note, { meta: { for: 'one' } });
    await store.set('b', note, { meta: { for: 'all' }, ttlMs: 60_000 });
    await world.advance(5);
    expect(await held(local)).toEqual({});
    await subscription.close();
  });

  it('are looked at as the application knows them, and cannot be changed by that', async () => {
    const { world, local } = small();
    const store = memory<Note>({ env: world });
    const seen: Entry<Note>[] = [];
    const where = (entry: Entry<Note>): boolean => {
      seen.push({ ...entry });
      (entry.value as { n: number }).n = 77;
      return true;
    };
    await store.set('a', { open: true, n: 1 }, { meta: { by: 'ada' } });
    const subscription = subscribe(new Line(open(store, { where })), local, { codec });
    await world.advance(5);
    expect(seen[0]).toEqual({ ...(await store.getEntry('a')), value: { open: true, n: 77 } });
    expect((await store.get('a'))?.n).toBe(1);
    expect(await held(local)).toEqual({ a: 1 });
    await subscription.close();
  });

  it.each<[string, () => boolean, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('broken where');
      },
      /broken where/,
    ],
    ['gives a promise', (async () => true) as never, /expected true or false/],
  ])('are an error of the subscriber, never a part, when it %s', async (_, where, what) => {
    const { world, store, local } = small();
    const causes: string[] = [];
    const publication = open(store, {
      where,
      onError: (error) => causes.push(`${error.code} ${error.key} ${error.cause}`),
    });
    await store.set('a', { open: true, n: 1 });
    const subscription = subscribe(new Line(publication), local, { codec });
    await world.advance(200);
    expect(subscription.status()).toMatchObject({ state: 'connecting', rev: 0 });
    expect(subscription.status().lastError).toMatchObject({ code: 'unavailable' });
    expect(causes[0]).toMatch(/^unavailable a /);
    expect(causes[0]).toMatch(what);
    expect(await held(local)).toEqual({});
    await subscription.close();
  });

  it('are never at a subscriber, whatever is written and however it is connected', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ set: key, open: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ delete: key }) },
      { weight: 2, arbitrary: fc.record({ batch: fc.array(fc.tuple(key, fc.boolean())) }) },
      { weight: 2, arbitrary: fc.record({ passMs: fc.constantFrom(0, 1, 5) }) },
      { weight: 1, arbitrary: fc.constant({ cut: true }) },
      { weight: 1, arbitrary: fc.constant({ restart: true }) },
      { weight: 1, arbitrary: fc.constant({ forget: true }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(), async (steps, seed) => {
        const { world, store, local } = small(seed);
        let publication = open(store);
        let line = new Line(publication);
        const to = { connect: () => line.connect() };
        const subscription = subscribe(to, local, { codec });
        let n = 0;
        for (const next of steps) {
          if ('set' in next) await store.set(next.set, { open: next.open, n: n++ });
          else if ('delete' in next) await store.delete(next.delete);
          else if ('batch' in next)
            await store.setMany(next.batch.map(([each, open]) => [each, { open, n: n++ }]));
          else if ('passMs' in next) await world.advance(next.passMs);
          else if ('cut' in next) line.cut();
          else if ('restart' in next) {
            await publication.close({ spreadMs: 1 });
            publication = open(store);
            line = new Line(publication);
          } else {
            for (const gone of ['x', 'y', 'z', 'w']) await store.set(gone, { open: false, n: 0 });
            await store.deleteMany(['x', 'y', 'z', 'w']);
          }
        }
        await world.advance(60_000);
        expect(await held(local)).toEqual(await wanted(store));
        expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
        await subscription.close();
        await publication.close();
      }),
      { numRuns: 150 },
    );
  });
});

describe('a copy of another where', () => {
  it('never resumes with keys missing, or too many', async () => {
    const { world, store, local } = small();
    for (const n of [1, 2, 3]) await store.set(`k${n}`, { open: true, n });
    const sync = async (options: PublishOptions<Note>): Promise<unknown> => {
      const publication = publish(store, { codec, limits: LIMITS, ...options });
      const subscription = subscribe(new Line(publication), local, { codec });
      await world.advance(20);
      await subscription.ready;
      const { resumes, snapshots, reconciles } = subscription.status();
      await subscription.close();
      return { resumes, anew: snapshots + reconciles, held: await held(local) };
    };
    const anew = { resumes: 0, anew: 1 };
    const resumed = { resumes: 1, anew: 0 };
    const odd = (entry: Entry<Note>): boolean => entry.value.n % 2 === 1;
    expect(await sync({ where: odd, scope: 'odd' })).toEqual({ ...anew, held: { k1: 1, k3: 3 } });
    expect(await sync({ where: odd, scope: 'odd' })).toEqual({
      ...resumed,
      held: { k1: 1, k3: 3 },
    });
    const even = (entry: Entry<Note>): boolean => !odd(entry);
    expect(await sync({ where: even, scope: 'even' })).toEqual({ ...anew, held: { k2: 2 } });
    const all = { k1: 1, k2: 2, k3: 3 };
    expect(await sync({})).toEqual({ ...anew, held: all });
    expect(await sync({})).toEqual({ ...resumed, held: all });
    // Without a name nobody can tell what a function lets through.
    expect(await sync({ filter: (key) => key !== 'k1' })).toMatchObject(anew);
    expect(await sync({ filter: (key) => key !== 'k2' })).toEqual({
      ...anew,
      held: { k1: 1, k3: 3 },
    });
    expect(await sync({ where: odd })).toMatchObject(anew);
    expect(await sync({ where: odd })).toMatchObject(anew);
    const publication = publish(store, { codec, where: even, limits: LIMITS });
    for (const resumes of [0, 1]) {
      const subscription = subscribe(new Line(publication), local, { codec });
      await world.advance(20);
      expect(subscription.status()).toMatchObject({ resumes });
      await subscription.close();
    }
  });
});

/** Until the copy is what it should be; real engines take their time. */
async function settles(local: Store<Note>, store: Store<Note>): Promise<void> {
  await expect.poll(() => held(local), { timeout: 10_000 }).toEqual(await wanted(store));
}

async function livesOn(store: Store<Note>): Promise<void> {
  const local = memory<Note>();
  const line = new Line(open(store, { limits: { comparedKeys: 0 } }));
  await store.setMany(
    Array.from({ length: 500 }, (_, n) => [`n/${n}`, { open: n % 3 === 0, n }] as const),
  );
  const first = subscribe(line, local, { codec, prefix: 'n/1' });
  await first.ready;
  expect(Object.keys(await held(local))).toHaveLength(36);
  await first.close();
  await local.clear();
  const subscription = subscribe(line, local, { codec });
  await subscription.ready;
  await settles(local, store);
  await store.batch([
    { type: 'set', key: 'n/3', value: { open: false, n: 1 } },
    { type: 'set', key: 'n/4', value: { open: true, n: 1 } },
    { type: 'delete', key: 'n/6' },
  ]);
  await settles(local, store);
  await subscription.close();
  await store.set('n/9', { open: false, n: 1 });
  await store.set('n/10', { open: true, n: 1 });
  const second = subscribe(line, local, { codec });
  await second.ready;
  expect(second.status()).toMatchObject({ resumes: 1, snapshots: 0 });
  await settles(local, store);
  await second.close();
}

describe('where over lmdb', () => {
  it('is kept to in snapshots, tails and resumes', async () => {
    const path = await mkdtemp(join(tmpdir(), 'where-'));
    const store = lmdb({ path, codec, durability: 'os' });
    try {
      await livesOn(store);
    } finally {
      await store.close();
      await rm(path, { recursive: true });
    }
  });
});

describeWithEngine('redis', 'where over Redis', () => {
  it('is kept to in snapshots, tails and resumes', async () => {
    const store = redis({ url: redisUrl(), prefix: `where:${randomId(systemEnv)}`, codec });
    await livesOn(store);
    await store.clear();
    await store.close();
  });
});
