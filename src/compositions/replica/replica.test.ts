/** What a replica promises while members fail, hang and return. */
import { describe, expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { type ReplicaOptions, type ReplicaStore, replica } from './index.ts';

interface World {
  readonly env: SimulatedEnv;
  readonly plans: readonly FaultPlan[];
  readonly members: readonly Store<string>[];
  readonly store: ReplicaStore<string>;
  /** A promise's outcome, while time passes. */
  outcome<T>(promise: Promise<T>): Promise<T | StrataError>;
}

/** `count` members, the last `async` of which are asynchronous; live. */
async function world(
  count: number,
  options: Partial<ReplicaOptions<string>> & { readonly behind?: number } = {},
): Promise<World> {
  const env = simulatedEnv();
  const plans = Array.from({ length: count }, () => new FaultPlan());
  const members = plans.map(() => memory<string>({ env }));
  const { behind = 0, ...rest } = options;
  const stores = members.map((member, at) => faulty(member, plans[at] as FaultPlan));
  const store = replica({
    sync: stores.slice(0, count - behind),
    async: stores.slice(count - behind),
    ...rest,
  });
  await store.set('first', 'value');
  await store.flush();
  return { env, plans, members, store, outcome: (promise) => outcome(env, promise) };
}

async function outcome<T>(env: SimulatedEnv, promise: Promise<T>): Promise<T | StrataError> {
  let settledNow = false;
  const caught = promise.catch((error: unknown) => {
    if (error instanceof StrataError) return error;
    throw error;
  });
  caught.finally(() => {
    settledNow = true;
  });
  for (let i = 0; i < 400 && !settledNow; i++) await env.advance(50);
  return caught;
}

const plan = (w: World, at: number): FaultPlan => w.plans[at] as FaultPlan;
const member = (w: World, at: number): Store<string> => w.members[at] as Store<string>;

describe('writes', () => {
  test('are in every synchronous store when they are acknowledged', async () => {
    const w = await world(3);
    const head = await w.store.set('a', '1', { meta: { n: 1 }, ttlMs: 60_000 });
    for (const at of [0, 1, 2]) {
      const entry = await member(w, at).getEntry('a');
      expect(entry).toMatchObject({ value: '1', meta: { n: 1 }, expiresAt: head.expiresAt });
    }
    expect(await w.store.delete('a')).toBe(true);
    for (const at of [0, 1, 2]) expect(await member(w, at).get('a')).toBeUndefined();
    await w.outcome(w.store.close());
  });

  test('that only some members have are of unknown outcome, are read as the first store has them, and are repaired', async () => {
    const w = await world(3);
    await w.store.set('a', 'old');
    plan(w, 1).failNext('commit', 'no-space');
    const error = await w.outcome(w.store.set('a', 'new'));
    expect(error).toMatchObject({ code: 'unknown-outcome', details: { lacking: ['sync[1]'] } });
    // Who lacks it is not asked, whatever becomes of the others.
    plan(w, 0).failNext('read', 'unavailable', { times: Number.POSITIVE_INFINITY });
    plan(w, 2).delay('read', 10);
    expect(await member(w, 1).get('a')).toBe('old');
    expect(await w.outcome(w.store.get('a'))).toBe('new');
    await w.env.advance(1_000);
    expect(await member(w, 1).get('a')).toBe('new');
    expect(w.store.status().members.map(({ state }) => state)).toEqual(['live', 'live']);
    await w.outcome(w.store.close());
  });

  test('are refused before anything is written while a member is away', async () => {
    const w = await world(2);
    plan(w, 1).failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
    expect(await w.outcome(w.store.set('a', '1'))).toMatchObject({ code: 'unknown-outcome' });
    const error = await w.outcome(w.store.set('b', '1'));
    expect(error).toMatchObject({ code: 'unavailable', retryable: true });
    expect(await member(w, 0).get('b')).toBeUndefined();
    plan(w, 1).heal();
    await w.env.advance(10_000);
    expect(await w.store.set('b', '2')).toMatchObject({ key: 'b' });
    expect(await member(w, 1).get('a')).toBe('1');
    await w.outcome(w.store.close());
  });

  test('need a quorum and no more', async () => {
    const w = await world(3, { write: 2 });
    plan(w, 2).failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
    for (const n of [1, 2, 3]) await w.store.set('a', String(n));
    expect(await member(w, 1).get('a')).toBe('3');
    expect(await member(w, 2).get('a')).toBeUndefined();
    plan(w, 0).failNext('read', 'unavailable', { times: Number.POSITIVE_INFINITY });
    expect(await w.store.get('a')).toBe('3');
    plan(w, 1).failNext('read', 'unavailable', { times: Number.POSITIVE_INFINITY });
    const error = await w.outcome(w.store.get('a'));
    expect(error).toMatchObject({ code: 'unavailable' });
    expect((error as StrataError).details?.causes).toHaveLength(3);
    plan(w, 2).heal();
    await w.env.advance(10_000);
    expect(await w.store.get('a')).toBe('3');
    await w.outcome(w.store.close());
  });

  test('wait for the slowest member and its deadline, and then are of unknown outcome', async () => {
    const w = await world(2);
    plan(w, 1).hangNext('commit');
    const error = await w.outcome(w.store.set('a', '1', { timeoutMs: 500 }));
    expect(error).toMatchObject({ code: 'unknown-outcome' });
    expect(await w.store.get('a')).toBe('1');
    plan(w, 1).release();
    await w.env.advance(10_000);
    expect(await member(w, 1).get('a')).toBe('1');
    await w.outcome(w.store.close());
  });

  test('of one key arrive everywhere in the order of the first store', async () => {
    const w = await world(3);
    plan(w, 1).delay('commit', 7);
    plan(w, 2).delay('commit', 3);
    const all = Array.from({ length: 50 }, (_, n) => w.store.set(`k${n % 3}`, String(n)));
    await w.outcome(Promise.all(all));
    for (const key of ['k0', 'k1', 'k2']) {
      const value = await member(w, 0).get(key);
      expect(await member(w, 1).get(key)).toBe(value);
      expect(await member(w, 2).get(key)).toBe(value);
    }
    await w.outcome(w.store.close());
  });

  test('whose fate in the first store is not known are read there alone', async () => {
    const w = await world(2);
    await w.store.set('a', 'old');
    plan(w, 0).failNext('commit', 'unknown-outcome', { applied: true });
    expect(await w.outcome(w.store.set('a', 'new'))).toMatchObject({ code: 'unknown-outcome' });
    plan(w, 0).delay('read', 100);
    expect(await w.outcome(w.store.get('a'))).toBe('new');
    await w.env.advance(5_000);
    expect(await member(w, 1).get('a')).toBe('new');
    await w.outcome(w.store.close());
  });
});

describe('reads', () => {
  test('take the first success, and give up the others', async () => {
    const w = await world(3);
    plan(w, 0).failNext('read');
    plan(w, 1).hangNext('read');
    plan(w, 2).delay('read', 5);
    expect(await w.outcome(w.store.get('first'))).toBe('value');
    plan(w, 0).hangNext('read', { times: 2 });
    plan(w, 2).delay('read', 0);
    expect(await w.outcome(w.store.get('missing'))).toBeUndefined();
    plan(w, 0).release();
    plan(w, 1).release();
    await w.outcome(w.store.close());
    await settled();
    expect(w.env.pendingTimers).toBe(0);
  });

  test('end at their deadline although no member heeds it', async () => {
    const w = await world(2);
    for (const at of [0, 1]) plan(w, at).hangNext('read');
    const before = w.env.monotonicMs();
    const error = await w.outcome(w.store.get('first', { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'timeout' });
    expect(w.env.monotonicMs() - before).toBeLessThanOrEqual(350);
    for (const at of [0, 1]) plan(w, at).release();
    await w.outcome(w.store.close());
  });

  test('that all fail tell the cause of each', async () => {
    const w = await world(2);
    plan(w, 0).failNext('read', 'corrupt');
    plan(w, 1).failNext('read', 'unavailable');
    const error = (await w.outcome(w.store.get('first'))) as StrataError;
    expect(error.code).toBe('unavailable');
    expect(error.details?.causes).toMatchObject([
      { member: 'sync[0]', cause: { code: 'corrupt' } },
      { member: 'sync[1]', cause: { code: 'unavailable' } },
    ]);
    await w.outcome(w.store.close());
  });

  test('that are hedged ask the next only when the first is late', async () => {
    const w = await world(2, { read: 'hedged' });
    plan(w, 0).delay('read', 10);
    for (let i = 0; i < 64; i++) await w.outcome(w.store.get('first'));
    expect(plan(w, 1).calls('read')).toBeLessThan(10);
    const before = plan(w, 1).calls('read');
    plan(w, 0).hangNext('read');
    expect(await w.outcome(w.store.get('first'))).toBe('value');
    expect(plan(w, 1).calls('read')).toBe(before + 1);
    plan(w, 0).release();
    await w.outcome(w.store.close());
  });
});

describe('lists', () => {
  test('go on with another member where one fails, and are never cut short', async () => {
    const w = await world(2);
    const keys = Array.from({ length: 2_000 }, (_, n) => `k${String(n).padStart(4, '0')}`);
    await w.store.setMany(keys.map((key) => [key, key] as const));
    plan(w, 0).failNext('scan', 'unavailable', { after: 3 });
    const seen = await w.outcome(Array.fromAsync(w.store.keys({ prefix: 'k' })));
    expect(seen).toEqual(keys);
    plan(w, 0).failNext('scan', 'unavailable', { after: 2 });
    const back = await w.outcome(
      Array.fromAsync(w.store.list({ prefix: 'k', reverse: true, limit: 1_500 })),
    );
    expect((back as { key: string }[]).map(({ key }) => key)).toEqual(
      keys.toReversed().slice(0, 1_500),
    );
    plan(w, 0).failNext('scan', 'unavailable', { after: 1 });
    plan(w, 1).failNext('scan', 'corrupt', { after: 1 });
    expect(await w.outcome(Array.fromAsync(w.store.keys()))).toMatchObject({ code: 'unavailable' });
    await w.outcome(w.store.close());
  });
});

describe('asynchronous members', () => {
  test('get what is written, later', async () => {
    const w = await world(2, { behind: 1 });
    plan(w, 1).delay('commit', 100);
    await w.store.set('a', '1');
    await w.store.set('a', '2');
    expect(await member(w, 1).get('a')).toBeUndefined();
    expect(w.store.pending()).toMatchObject({ behind: ['async[0]'] });
    expect(await w.outcome(w.store.flush())).toEqual({ entries: 0, bytes: 0, behind: [] });
    expect(await member(w, 1).get('a')).toBe('2');
    await w.outcome(w.store.close());
  });

  test('make writers wait when their queue is full; a writer may give up, and nothing is written then', async () => {
    const w = await world(2, { behind: 1, queueLength: 2 });
    plan(w, 1).hangNext('commit', { times: 1 });
    await w.store.set('a', '1');
    await w.store.set('b', '1');
    const controller = new AbortController();
    const third = w.store.set('c', '1', { signal: controller.signal });
    const fourth = w.store.set('d', '1', { timeoutMs: 200 });
    await settled();
    controller.abort();
    expect(await w.outcome(third)).toMatchObject({ code: 'aborted' });
    expect(await w.outcome(fourth)).toMatchObject({ code: 'timeout' });
    expect(await member(w, 0).get('c')).toBeUndefined();
    const fifth = w.store.set('e', '1');
    plan(w, 1).release();
    expect(await w.outcome(fifth)).toMatchObject({ key: 'e' });
    expect(await w.outcome(w.store.flush())).toMatchObject({ behind: [] });
    for (const key of ['a', 'b', 'e']) expect(await member(w, 1).get(key)).toBe('1');
    await w.outcome(w.store.close());
  });

  test('that fail hold nobody up, and are brought up to date when they return', async () => {
    const events: string[] = [];
    const w = await world(2, {
      behind: 1,
      queueLength: 2,
      onEvent: ({ type }) => events.push(type),
    });
    plan(w, 1).failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
    for (let n = 0; n < 20; n++) await w.store.set(`k${n}`, '1');
    await w.store.delete('k3');
    expect(w.store.status().members[0]).toMatchObject({
      state: 'away',
      lastError: { code: 'unavailable' },
    });
    expect(await w.outcome(w.store.flush())).toMatchObject({ behind: ['async[0]'] });
    plan(w, 1).heal();
    await w.env.advance(10_000);
    expect(await Array.fromAsync(member(w, 1).keys())).toEqual(
      await Array.fromAsync(member(w, 0).keys()),
    );
    expect(events).toContain('member-away');
    expect(events.at(-1)).toBe('member-live');
    await w.outcome(w.store.close());
  });

  test('get every single write where that is asked for', async () => {
    const w = await world(2, { behind: 1, everyWrite: true });
    const seen: string[] = [];
    const watched = (async () => {
      for await (const { writes } of member(w, 1).watch())
        for (const write of writes) if (write.type === 'set') seen.push(write.value);
    })().catch(() => {});
    await settled();
    for (let n = 0; n < 5; n++) await w.store.set('a', String(n));
    await w.outcome(w.store.flush());
    await settled();
    expect(seen).toEqual(['0', '1', '2', '3', '4']);
    await w.outcome(w.store.close());
    await watched;
  });

  test('end the store with their first failure where that is asked for', async () => {
    const w = await world(2, { behind: 1, asyncFailure: 'fail-store' });
    plan(w, 1).failNext('commit', 'denied');
    await w.store.set('a', '1');
    await settled();
    for (const call of [() => w.store.get('a'), () => w.store.set('a', '2'), () => w.store.flush()])
      expect(await w.outcome(call() as Promise<unknown>)).toMatchObject({
        code: 'denied',
        cause: { code: 'denied' },
      });
    expect(w.store.status()).toMatchObject({ state: 'failed', lastError: { code: 'denied' } });
    await w.outcome(w.store.close());
  });

  test('go on without a write that they refuse', async () => {
    const events: unknown[] = [];
    const w = await world(2, { behind: 1, onEvent: (event) => events.push(event) });
    plan(w, 1).failNext('commit', 'invalid-argument', { times: 5 });
    await w.store.set('a', '1');
    await w.env.advance(20_000);
    await w.store.set('b', '1');
    expect(await w.outcome(w.store.flush())).toMatchObject({ behind: [] });
    expect(await member(w, 1).get('b')).toBe('1');
    expect(w.store.status().members[0]?.refused).toMatchObject([{ key: 'a' }]);
    await w.outcome(w.store.close());
  });

  test('leave at a close what did not reach them in time, and it is told', async () => {
    const w = await world(2, { behind: 1 });
    plan(w, 1).hangNext('commit');
    await w.store.set('a', '1');
    const left = await w.outcome(w.store.close({ drainMs: 100 }));
    expect(left).toMatchObject({ entries: 1, behind: ['async[0]'] });
    plan(w, 1).release();
  });
});
