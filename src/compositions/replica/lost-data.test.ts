/** What a replica does when it is opened again: with members that lost their data, lag behind, or were written past it. */
import { describe, expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { type ReplicaEvent, type ReplicaOptions, replica } from './index.ts';

const env = simulatedEnv();
const fresh = (): Store<string> => memory<string>({ env });
const state = async (store: Store<string>): Promise<Record<string, string>> =>
  Object.fromEntries((await Array.fromAsync(store.list())).map(({ key, value }) => [key, value]));

/** A replica over stores that outlive it. */
const over = (
  sync: readonly Store<string>[],
  options: Partial<ReplicaOptions<string>> = {},
): ReturnType<typeof replica<string>> => replica({ sync, closeParts: false, ...options });

async function outcome<T>(promise: Promise<T>): Promise<T | StrataError> {
  let isSettled = false;
  const caught = promise.catch((error: unknown) => {
    if (error instanceof StrataError) return error;
    throw error;
  });
  caught.finally(() => {
    isSettled = true;
  });
  for (let i = 0; i < 400 && !isSettled; i++) await env.advance(50);
  return caught;
}

describe('opened over members', () => {
  test('that hold different keys, gives all of them, in order, and brings them everywhere', async () => {
    const members = [fresh(), fresh(), fresh()];
    const expected: Record<string, string> = {};
    for (const [at, member] of members.entries())
      for (let n = at; n < 60; n += at + 2) {
        await member.set(`k${n}`, `${at}`);
        expected[`k${n}`] ??= `${at}`;
      }
    const store = over(members);
    const seen = await Array.fromAsync(store.list());
    expect(Object.fromEntries(seen.map(({ key, value }) => [key, value]))).toEqual(expected);
    expect(seen.map(({ key }) => key)).toEqual(Object.keys(expected).sort());
    await outcome(store.flush());
    for (const member of members) expect(await state(member)).toEqual(expected);
    await store.close();
  });

  test('one of which was wiped, rebuilds it before it is read', async () => {
    const [a, b] = [fresh(), fresh()];
    const first = over([a, b]);
    for (let n = 0; n < 1_000; n++) await first.set(`k${n}`, String(n));
    await first.close();
    const wiped = fresh();
    const plans = [new FaultPlan(), new FaultPlan()];
    const second = over([faulty(a, plans[0] as FaultPlan), faulty(wiped, plans[1] as FaultPlan)]);
    plans[1]?.delay('commit', 100);
    const reading = second.get('k500');
    plans[0]?.delay('read', 20);
    expect(await outcome(reading)).toBe('500');
    expect(second.status().members[0]).toMatchObject({ state: 'catching-up', fenced: undefined });
    await outcome(second.flush());
    expect(await state(wiped)).toEqual(await state(a));
    expect(second.status().members[0]).toMatchObject({ state: 'live', fenced: 0 });
    await outcome(second.close());
  });

  test('the first of which lost everything, gives what the others have', async () => {
    const [a, b, c] = [fresh(), fresh(), fresh()];
    const first = over([a, b, c]);
    for (let n = 0; n < 300; n++) await first.set(`k${n}`, String(n), { meta: { n } });
    await first.delete('k7');
    const before = await state(first);
    await first.close();
    const events: ReplicaEvent[] = [];
    const wiped = fresh();
    const second = over([wiped, b, c], { onEvent: (event) => events.push(event) });
    expect(await second.get('k5')).toBe('5');
    expect(await second.get('k7')).toBeUndefined();
    expect(await second.getEntry('k6')).toMatchObject({ meta: { n: 6 } });
    expect(await state(second)).toEqual(before);
    expect(events).toContainEqual({ type: 'first-rebuilt', adopted: 299 });
    await outcome(second.flush());
    for (const member of [wiped, b, c]) expect(await state(member)).toEqual(before);
    await second.set('k7', 'again');
    expect(await c.get('k7')).toBe('again');
    await second.close();
  });

  test('the first of which lost everything while the only other is away, waits for it', async () => {
    const [a, b] = [fresh(), fresh()];
    const first = over([a, b]);
    await first.set('a', '1');
    await first.close();
    const plan = new FaultPlan().failNext('read', 'unavailable', {
      times: Number.POSITIVE_INFINITY,
    });
    const second = over([fresh(), faulty(b, plan)]);
    expect(await outcome(second.get('a'))).toMatchObject({ code: 'unavailable' });
    expect(await outcome(second.set('a', '2'))).toMatchObject({ code: 'unavailable' });
    expect(second.status()).toMatchObject({ state: 'opening', lastError: { code: 'unavailable' } });
    plan.heal();
    await env.advance(10_000);
    expect(await second.get('a')).toBe('1');
    await second.close();
  });

  test('never takes a member back in time, even when the first is lost meanwhile', async () => {
    const [a, b] = [fresh(), fresh()];
    const cut = new FaultPlan();
    const first = over([a, faulty(b, cut)]);
    await first.set('k', 'before');
    await first.flush();
    await env.advance(2_000);
    await first.set('k', 'old');
    await first.set('gone', 'old');
    await first.set('k', 'new');
    await first.delete('gone');
    // It dies before it has noted how far the member came.
    for (const what of ['commit', 'read', 'scan'] as const)
      cut.failNext(what, 'closed', { times: Number.POSITIVE_INFINITY });
    const plan = new FaultPlan().failNext('commit', 'unavailable', {
      after: 1,
      times: Number.POSITIVE_INFINITY,
    });
    const second = over([a, faulty(b, plan)]);
    await env.advance(10_000);
    expect(plan.calls('commit')).toBeGreaterThan(1);
    await outcome(second.close({ drainMs: 0 }));
    const third = over([fresh(), b]);
    expect(await outcome(third.get('k'))).toBe('new');
    expect(await outcome(third.get('gone'))).toBeUndefined();
    await outcome(third.close());
    await outcome(first.close({ drainMs: 0 }));
  });

  test('the first of which is away, fails until it was asked once', async () => {
    const [a, b] = [fresh(), fresh()];
    const first = over([a, b]);
    await first.set('a', '1');
    await first.close();
    const plan = new FaultPlan().failNext('feed', 'unavailable', {
      times: Number.POSITIVE_INFINITY,
    });
    const second = over([faulty(a, plan), b]);
    expect(await outcome(second.get('a'))).toMatchObject({ code: 'unavailable' });
    plan.heal();
    await env.advance(10_000);
    expect(await second.get('a')).toBe('1');
    await second.close();
  });

  test('one of which missed writes and deletes, brings them to it, and nothing back', async () => {
    const [a, b, c] = [fresh(), fresh(), fresh()];
    const first = over([a, b, c]);
    for (let n = 0; n < 10; n++) await first.set(`k${n}`, 'old');
    await first.close();
    const plan = new FaultPlan().failNext('commit', 'unavailable', {
      times: Number.POSITIVE_INFINITY,
    });
    const second = over([a, b, faulty(c, plan)], { write: 2 });
    await outcome(second.flush());
    await second.set('k1', 'new');
    await second.delete('k2');
    await second.close({ drainMs: 0 });
    expect(await c.get('k2')).toBe('old');
    const third = over([a, b, c], { write: 2 });
    expect(await outcome(third.flush())).toMatchObject({ behind: [] });
    expect(await state(c)).toEqual(await state(a));
    expect(await third.get('k2')).toBeUndefined();
    await third.close();
  });
});

describe('what others write in the first store', () => {
  test('is noticed, and brought to all', async () => {
    const [a, b] = [fresh(), fresh()];
    const store = over([a, b]);
    await store.set('k1', 'ours');
    await outcome(store.flush());
    await a.set('k1', 'theirs');
    await a.delete('k2');
    await a.set('k3', 'theirs');
    await store.set('k4', 'ours');
    await env.advance(2_000);
    expect(await state(b)).toEqual(await state(a));
    expect(await store.get('k1')).toBe('theirs');
    await outcome(store.close());
  });
});

describe('repair', () => {
  test('puts right what was written past the replica, counts it, and tells how far it is', async () => {
    const [a, b] = [fresh(), fresh()];
    const store = over([a, b]);
    await store.setMany(Array.from({ length: 500 }, (_, n) => [`k${n}`, String(n)] as const));
    await b.set('k3', 'changed');
    await b.delete('k4');
    await b.set('other', 'kept');
    const progress: number[] = [];
    const result = await outcome(
      store.repair({ onProgress: (_, { compared }) => progress.push(compared) }),
    );
    expect(result).toMatchObject({ copied: 2, deleted: 0, adopted: 1 });
    expect(progress.at(-1)).toBe(501);
    expect(await state(b)).toEqual(await state(a));
    expect(await store.get('other')).toBe('kept');
    expect(await outcome(store.repair())).toMatchObject({ copied: 0, deleted: 0, adopted: 0 });
    await store.close();
  });

  test('tells of a member that is away, and repairs the others', async () => {
    const [a, b, c] = [fresh(), fresh(), fresh()];
    const plan = new FaultPlan();
    const store = over([a, faulty(b, plan), c], { write: 1 });
    await store.set('a', '1');
    await outcome(store.flush());
    plan.failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
    await store.set('a', '2');
    await c.set('a', 'wrong');
    const result = await outcome(store.repair());
    expect(result).toMatchObject({
      copied: 1,
      members: [
        { name: 'sync[1]', error: { code: 'unavailable' } },
        { name: 'sync[2]', copied: 1 },
      ],
    });
    expect(await c.get('a')).toBe('2');
    await outcome(store.close());
  });

  test('loses nothing that is written beside it', async () => {
    const [a, b] = [fresh(), fresh()];
    const plan = new FaultPlan();
    const store = over([a, faulty(b, plan)]);
    await store.setMany(Array.from({ length: 600 }, (_, n) => [`k${n}`, 'old'] as const));
    for (let n = 0; n < 600; n += 2) await b.delete(`k${n}`);
    plan.delay('scan', 5).delay('read', 3).delay('commit', 2);
    const repairing = store.repair();
    const writing = (async () => {
      for (let n = 0; n < 100; n++) {
        await store.set(`k${(n * 37) % 600}`, `new ${n}`);
        if (n % 3 === 0) await store.delete(`k${(n * 11) % 600}`);
      }
    })();
    await outcome(Promise.all([repairing, writing]));
    plan.heal();
    expect(await state(b)).toEqual(await state(a));
    await outcome(store.close());
  });
});
