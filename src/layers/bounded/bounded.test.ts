import { describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { memory } from '../../drivers/memory/index.ts';
import { describeStore, json, type Store } from '../../store/index.ts';
import { conformance, FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { encoded } from '../encoded/index.ts';
import { bounded } from './index.ts';

const env = simulatedEnv();

conformance({
  name: 'bounded',
  test: { describe, it },
  factory: {
    env,
    required: requiredCapabilities.memory,
    create: () => bounded(memory({ env }), { maxConcurrent: 1 }),
  },
});

conformance({
  name: 'bounded, over a slow store, encoded',
  test: { describe, it },
  factory: {
    create: () =>
      encoded(
        bounded(faulty(memory<Uint8Array>(), new FaultPlan()), {
          maxConcurrent: 2,
          maxValueBytes: 1e6,
        }),
        {
          codec: json(),
        },
      ),
  },
});

/** A store whose calls hang until released, seen through a bound of two. */
function hanging(times: number): { plan: FaultPlan; store: Store<Uint8Array> } {
  const plan = new FaultPlan().hangNext('read', { times }).hangNext('commit', { times });
  const store = bounded(faulty(memory<Uint8Array>({ env }), plan), {
    maxConcurrent: 2,
    maxWaiting: 3,
  });
  return { plan, store };
}

describe('bounded', () => {
  it('makes so many calls at once, and the others in their order', async () => {
    const { plan, store } = hanging(5);
    const done: string[] = [];
    const calls = ['a', 'b', 'c', 'd', 'e'].map((key) => store.get(key).then(() => done.push(key)));
    await settled();
    expect(plan.calls('read')).toBe(2);
    await expect(store.get('f')).rejects.toMatchObject({ code: 'overloaded', key: 'f' });
    plan.release();
    await settled();
    expect(plan.calls('read')).toBe(4);
    plan.release();
    await settled();
    plan.release();
    await Promise.all(calls);
    expect(done).toEqual(['a', 'b', 'c', 'd', 'e']);
    await store.close();
  });

  it('ends the wait of a call with its deadline: a write was then not applied, and leaves its place', async () => {
    const { plan, store } = hanging(2);
    const first = [store.set('a', Buffer.of(1)), store.set('b', Buffer.of(1))];
    const stop = new AbortController();
    const aborted = expect(
      store.set('c', Buffer.of(1), { signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'aborted' });
    const late = expect(store.set('d', Buffer.of(1), { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'timeout',
    });
    const last = store.set('e', Buffer.of(1));
    await settled();
    stop.abort();
    await env.advance(100);
    await Promise.all([aborted, late]);
    plan.release();
    await Promise.all([...first, last]);
    expect(await Array.fromAsync(store.keys())).toEqual(['a', 'b', 'e']);
    await store.close();
  });

  it('keeps the place of a call that its caller gave up for as long as the work goes on', async () => {
    const { plan, store } = hanging(2);
    const calls = ['a', 'b'].map((key) => store.get(key, { timeoutMs: 50 }));
    const given = expect(Promise.all(calls)).rejects.toMatchObject({ code: 'timeout' });
    await settled();
    await env.advance(50);
    await given;
    const next = store.get('c');
    await settled();
    expect(plan.calls('read')).toBe(2);
    plan.release();
    await next;
    expect(plan.calls('read')).toBe(3);
    await store.close();
  });

  it('takes no place between the pages of a list, and none while a watch waits', async () => {
    const store = bounded(memory<Uint8Array>({ env }), { maxConcurrent: 1 });
    for (let n = 0; n < 2_000; n++) await store.set(`k${n}`, Buffer.of(1));
    const watch = store.watch()[Symbol.asyncIterator]();
    const waiting = watch.next();
    let seen = 0;
    for await (const { key } of store.list()) {
      if (seen++ % 500 === 0) expect(await store.has(key)).toBe(true);
    }
    expect(seen).toBe(2_000);
    await store.set('new', Buffer.of(1));
    expect((await waiting).value?.writes).toHaveLength(1);
    await store.close();
  });

  it('refuses what is too large, by the bytes that are stored', async () => {
    const bytes = bounded(memory<Uint8Array>(), { maxValueBytes: 3 });
    expect(bytes.capabilities.maxValueBytes).toBe(3);
    await bytes.set('a', Buffer.alloc(3));
    await expect(bytes.set('b', Buffer.alloc(4))).rejects.toMatchObject({
      code: 'invalid-argument',
    });
    expect(() => bytes.blocking.set('b', Buffer.alloc(4))).toThrow(/4 bytes/);
    const inner = memory<unknown>({ codec: json() });
    const values = bounded(inner, { maxValueBytes: 10 });
    await values.set('a', 'eight...');
    const pairs = [['x', 1] as const, ['b', 'nine.....'] as const];
    await expect(values.setMany(pairs)).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'b',
    });
    expect(await values.has('x')).toBe(false);
    const unmeasured = bounded(memory<unknown>(), { maxValueBytes: 10 });
    await expect(unmeasured.set('a', 'x')).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('tells its bounds, and refuses wrong ones', () => {
    const store = bounded(memory(), { maxConcurrent: 4 });
    expect(describeStore(store)).toMatchObject({ type: 'bounded', details: { maxConcurrent: 4 } });
    for (const options of [{ maxConcurrent: 0 }, { maxValueBytes: -1 }, { max: 1 }])
      expect(() => bounded(memory(), options as object)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
  });
});
