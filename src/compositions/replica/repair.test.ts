/** What repairs read, and that they find what differs: by ranges, and by what changed since the last. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { defineStore, type Entry, primitivesOf, type Store } from '../../store/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { type RepairCounts, type ReplicaStore, replica } from './index.ts';

const KEYS = 2_000;
const env = simulatedEnv();

/** A store that counts the entries that scans of it give; on demand without a feed. */
function counted(options: { readonly feed?: boolean } = {}) {
  const store = memory<string>({ env });
  const inner = primitivesOf(store);
  const { feed, ...rest } = inner;
  const counts = { scanned: 0 };
  const seen = defineStore<string>({
    ...rest,
    ...(options.feed === false
      ? { capabilities: { ...inner.capabilities, feed: false } }
      : feed && { feed }),
    async *scan(range, call) {
      for await (const page of inner.scan(range, call)) {
        counts.scanned += page.length;
        yield page;
      }
    },
  });
  return { store, seen, counts };
}

const valuesOf = async (store: Store<string>): Promise<string[]> =>
  Array.fromAsync(store.list(), ({ key, value }: Entry<string>) => `${key}=${value}`);

async function filled(
  ...members: readonly { readonly seen: Store<string>; readonly counts: { scanned: number } }[]
): Promise<ReplicaStore<string>> {
  const store = replica<string>({ sync: members.map(({ seen }) => seen), closeParts: false });
  await store.setMany(Array.from({ length: KEYS }, (_, n) => [`k${n}`, String(n)] as const));
  await store.flush();
  for (const { counts } of members) counts.scanned = 0;
  return store;
}

/** Entries that scans of these have given since this was last asked. */
const scanned = (...members: readonly { readonly counts: { scanned: number } }[]): number[] =>
  members.map(({ counts }) => {
    const { scanned: count } = counts;
    counts.scanned = 0;
    return count;
  });

describe('a repair', () => {
  test('reads the first store once for all members, and nothing twice where they are the same', async () => {
    const members = [counted(), counted(), counted()];
    const store = await filled(...members);
    expect(await store.repair()).toMatchObject({ compared: 2 * KEYS, joined: 0, copied: 0 });
    for (const count of scanned(...members)) {
      expect(count).toBeGreaterThanOrEqual(KEYS);
      expect(count).toBeLessThan(KEYS + 5);
    }
    await store.close();
  });

  test('looks entry by entry at the ranges that differ only', async () => {
    const [a, b] = [counted(), counted()];
    const store = await filled(a, b);
    await b.store.set('k7', 'wrong');
    await b.store.delete('k1500');
    await b.store.set('k7000', 'only here');
    const result = await store.repair();
    expect(result).toMatchObject({ compared: KEYS + 1, copied: 2, adopted: 1, deleted: 0 });
    expect(result.joined).toBeGreaterThan(2);
    expect(result.joined).toBeLessThan(3 * 64 + 2);
    expect(await valuesOf(b.store)).toEqual(await valuesOf(a.store));
    await store.close();
  });

  test('after another looks at what changed since, in whichever store', async () => {
    const [a, b] = [counted(), counted()];
    const store = await filled(a, b);
    await store.repair();
    scanned(a, b);
    await b.store.set('k7', 'wrong');
    await b.store.delete('k8');
    await store.set('k9', 'new');
    const result = await store.repair();
    expect(result).toMatchObject({ compared: 3, joined: 3, copied: 2, deleted: 0, adopted: 0 });
    expect(scanned(a, b)).toEqual([0, 0]);
    expect(await valuesOf(b.store)).toEqual(await valuesOf(a.store));
    await store.close();
  });

  test('reads everything anew when told to, and where most has changed', async () => {
    const [a, b] = [counted(), counted()];
    const store = await filled(a, b);
    await store.repair();
    scanned(a, b);
    expect(await store.repair({ full: true })).toMatchObject({ compared: KEYS, joined: 0 });
    for (const count of scanned(a, b)) expect(count).toBeGreaterThanOrEqual(KEYS);
    for (let n = 0; n < KEYS / 2; n++) await b.store.set(`k${n}`, 'wrong');
    expect(await store.repair()).toMatchObject({ copied: KEYS / 2 });
    expect(scanned(b)[0]).toBeGreaterThanOrEqual(KEYS);
    expect(await valuesOf(b.store)).toEqual(await valuesOf(a.store));
    await store.close();
  });

  test('reads a member without a feed each time, and of the first store what has changed', async () => {
    const [a, b] = [counted(), counted({ feed: false })];
    const store = await filled(a, b);
    await store.repair();
    scanned(a, b);
    await b.store.delete('k700');
    await store.set('k900', 'new');
    expect(await store.repair()).toMatchObject({ compared: KEYS, copied: 1 });
    const [first = 0, other = 0] = scanned(a, b);
    expect(first).toBeLessThan(4 * 64);
    expect(other).toBeGreaterThanOrEqual(KEYS - 1);
    await store.close();
  });

  test('takes an entry that ends by itself for no difference', async () => {
    const [a, b] = [counted(), counted({ feed: false })];
    const store = await filled(a, b);
    await store.set('brief', 'x', { ttlMs: 1_000 });
    expect(await store.repair()).toMatchObject({ compared: KEYS + 1, joined: 0 });
    await env.advance(1_000);
    expect(await store.repair()).toMatchObject({ compared: KEYS, joined: 0 });
    await store.close();
  });

  test('tells how far it is, and never less than before', async () => {
    const [a, b] = [counted(), counted()];
    const store = await filled(a, b);
    for (let n = 0; n < KEYS; n += 100) await b.store.delete(`k${n}`);
    const told: RepairCounts[] = [];
    const result = await store.repair({ onProgress: (_, counts) => told.push(counts) });
    expect(told.length).toBeGreaterThan(5);
    for (const [at, { compared, copied }] of told.entries()) {
      expect(compared).toBeGreaterThanOrEqual(told[at - 1]?.compared ?? 0);
      expect(copied).toBeGreaterThanOrEqual(told[at - 1]?.copied ?? 0);
    }
    expect(told.at(-1)).toEqual({
      compared: KEYS,
      joined: result.joined,
      copied: 20,
      deleted: 0,
      adopted: 0,
    });
    await store.close();
  });

  test('that failed leaves the next one to look at the same again', async () => {
    const [a, b] = [counted(), counted()];
    const plan = new FaultPlan();
    const store = replica<string>({
      sync: [a.seen, faulty(b.seen, plan)],
      closeParts: false,
    });
    await store.setMany(Array.from({ length: KEYS }, (_, n) => [`k${n}`, String(n)] as const));
    await store.repair();
    await b.store.set('k7', 'wrong');
    plan.failNext('read', 'unavailable');
    const failed = await store.repair();
    expect(failed.members[0]?.error).toMatchObject({ code: 'unavailable' });
    expect(await store.repair()).toMatchObject({ copied: 1 });
    expect(await valuesOf(b.store)).toEqual(await valuesOf(a.store));
    await store.close();
  });

  test('waits for the one before it', async () => {
    const [a, b] = [counted(), counted()];
    const store = await filled(a, b);
    for (let n = 0; n < 50; n++) await b.store.delete(`k${n}`);
    const both = await Promise.all([store.repair(), store.repair()]);
    expect(both.map(({ copied }) => copied)).toEqual([50, 0]);
    await store.close();
  });
});

const key = fc.nat(40).map((n) => `k${n}`);
const step = fc.oneof(
  fc.record({ do: fc.constantFrom('set', 'delete', 'brief'), at: fc.nat(2), key }),
  fc.record({ do: fc.constantFrom('repair', 'full', 'pass'), at: fc.constant(0), key }),
);

test('repairs in a row, with writes past the replica between them, leave all members the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, withFeed) => {
      const members = [counted(), counted({ feed: withFeed })];
      const store = replica<string>({ sync: members.map(({ seen }) => seen), closeParts: false });
      await store.setMany(Array.from({ length: 200 }, (_, n) => [`k${n}`, 'begin'] as const));
      const targets: Store<string>[] = [store, ...members.map((member) => member.store)];
      const equal = async (full: boolean): Promise<void> => {
        await store.repair({ full });
        const states = await Promise.all(members.map((member) => valuesOf(member.store)));
        expect(states[1]).toEqual(states[0]);
      };
      for (const [at, { do: what, at: where, key: name }] of steps.entries()) {
        const target = targets[where] as Store<string>;
        if (what === 'set') await target.set(name, `${at}`);
        else if (what === 'brief') await target.set(name, `${at}`, { ttlMs: 50 });
        else if (what === 'delete') await target.delete(name);
        else if (what === 'pass') await env.advance(30);
        else await equal(what === 'full');
      }
      await equal(false);
      await store.close();
    }),
    { numRuns: 60 },
  );
});

test('repairs beside writes find what was there before them, and lose nothing of them', async () => {
  const write = fc.record({ key, gone: fc.boolean(), beside: fc.boolean(), pauseMs: fc.nat(6) });
  const round = fc.record({
    past: fc.array(key, { maxLength: 4 }),
    writes: fc.array(write, { maxLength: 12 }),
  });
  const rounds = fc.array(round, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(rounds, fc.boolean(), async (all, withFeed) => {
      const members = [counted(), counted({ feed: withFeed })];
      const plans = members.map(() => new FaultPlan());
      const sync = members.map(({ seen }, at) => faulty(seen, plans[at] as FaultPlan));
      const store = replica<string>({ sync, closeParts: false });
      const until = async <T>(work: Promise<T>): Promise<T> => {
        let isDone = false;
        const watched = work.finally(() => {
          isDone = true;
        });
        for (let n = 0; n < 2_000 && !isDone; n++) await env.advance(1);
        return watched;
      };
      await store.setMany(Array.from({ length: 200 }, (_, n) => [`k${n}`, 'begin'] as const));
      await until(store.repair());
      for (const plan of plans)
        plan.delay('scan', 3).delay('read', 2).delay('commit', 1).delay('feed', 1);
      const deleted = new Set<string>();
      for (const [at, { past, writes }] of all.entries()) {
        for (const name of past) await members[1]?.store.set(name, `past ${at}`);
        const under: Promise<unknown>[] = [store.repair()];
        for (const { key: name, gone, beside, pauseMs } of writes) {
          if (gone) deleted.add(name);
          const writing: Promise<unknown> = gone
            ? store.delete(name)
            : store.set(name, `live ${at}`);
          if (beside) under.push(writing);
          else await until(writing);
          await env.advance(pauseMs);
        }
        await until(Promise.all(under));
        await until(store.flush());
        const states = await Promise.all(members.map((member) => valuesOf(member.store)));
        expect(states[1]).toEqual(states[0]);
        // What only a member has, and nobody is sure was deleted, is taken in.
        const wrong = states[0]?.filter(
          (one) => one.includes('past') && !deleted.has(one.split('=')[0] as string),
        );
        expect(wrong).toEqual([]);
      }
      await until(store.close());
    }),
    { numRuns: 60 },
  );
});
