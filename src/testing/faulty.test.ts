import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import type { StoreWithBlocking } from '../store/store.ts';
import { conformance, FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from './index.ts';

const env = simulatedEnv();

conformance({
  name: 'faulty without faults',
  test: { describe, it },
  factory: { env, create: () => faulty(memory({ env }), new FaultPlan()) },
});

interface Parts {
  readonly env: SimulatedEnv;
  readonly plan: FaultPlan;
  readonly inner: StoreWithBlocking<unknown>;
  readonly store: StoreWithBlocking<unknown>;
}

function parts(): Parts {
  const own = simulatedEnv();
  const plan = new FaultPlan();
  const inner = memory({ env: own, timeoutMs: 1_000 });
  return { env: own, plan, inner, store: faulty(inner, plan) };
}

describe('faulty', () => {
  it('fails the next calls of an operation, and no others', async () => {
    const { plan, store } = parts();
    plan.failNext('read', 'corrupt', { times: 2, after: 1 });
    await store.set('a', 1);
    expect(await store.get('a')).toBe(1);
    await expect(store.get('a')).rejects.toMatchObject({ code: 'corrupt' });
    await expect(store.getMany(['a'])).rejects.toMatchObject({ code: 'corrupt' });
    expect(await store.get('a')).toBe(1);
    expect(plan.calls('read')).toBe(4);
    expect(plan.calls('commit')).toBe(1);
  });

  it('fails before or after a write is applied', async () => {
    const { plan, store, inner } = parts();
    plan.failNext('commit').failNext('commit', undefined, { applied: true });
    await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(await inner.get('a')).toBeUndefined();
    await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'unknown-outcome' });
    expect(await inner.get('a')).toBe(1);
  });

  it('hangs until released: a write given up meanwhile is not applied', async () => {
    const { env: own, plan, store, inner } = parts();
    plan.hangNext('commit', { times: 2 });
    const given = store.set('a', 1).catch((error: unknown) => error);
    const patient = store.set('b', 2, { timeoutMs: 60_000 });
    await own.advance(1_000);
    expect(await given).toMatchObject({ code: 'timeout' });
    expect(plan.hanging).toBe(2);
    plan.release();
    await patient;
    expect(await inner.get('a')).toBeUndefined();
    expect(await inner.get('b')).toBe(2);
  });

  it('says unknown-outcome for a write that was applied and not answered', async () => {
    const { env: own, plan, store, inner } = parts();
    plan.hangNext('commit', { applied: true });
    const given = store.set('a', 1).catch((error: unknown) => error);
    await own.advance(1_000);
    expect(await given).toMatchObject({ code: 'unknown-outcome' });
    expect(await inner.get('a')).toBe(1);
  });

  it('delays every call, until healed', async () => {
    const { env: own, plan, store } = parts();
    plan.delay('read', 400);
    let got: unknown = 'nothing';
    const reading = store.get('a').then((value) => {
      got = value;
    });
    await own.advance(399);
    expect(got).toBe('nothing');
    await own.advance(1);
    await reading;
    expect(got).toBeUndefined();
    plan.heal();
    expect(await store.get('a')).toBeUndefined();
  });

  it('fails in the middle of a scan', async () => {
    const { plan, store } = parts();
    await store.setMany(Array.from({ length: 600 }, (_, n) => [`k${n}`, n] as const));
    plan.failNext('scan', 'unavailable', { after: 1 });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const key of store.keys()) seen.push(key);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBeLessThan(600);
  });

  it('fails and hangs the feed', async () => {
    const { plan, store } = parts();
    plan.failNext('feed', 'unavailable');
    await expect(store.cursor()).rejects.toMatchObject({ code: 'unavailable' });
    const steps = store.watch({ after: await store.cursor() })[Symbol.asyncIterator]();
    plan.hangNext('feed');
    const step = steps.next();
    await store.set('a', 1);
    plan.release();
    expect((await step).value?.writes).toHaveLength(1);
  });

  it('fails the synchronous half at once, also where it would hang', () => {
    const { plan, store } = parts();
    plan.failNext('commit', 'no-space').hangNext('read');
    expect(() => store.blocking.set('a', 1)).toThrow(expect.objectContaining({ code: 'no-space' }));
    expect(() => store.blocking.get('a')).toThrow(expect.objectContaining({ code: 'timeout' }));
    store.blocking.set('a', 1);
    expect(store.blocking.get('a')).toBe(1);
  });
});
