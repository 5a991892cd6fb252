/** A back that is left alone after failures, and that returns; bounds of every call of it. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf, tieredWorld as world } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Feed } from '../../store/primitives.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { type TieredEvent, type TieredOptions, tiered } from './index.ts';

const FOR_EVER = { times: Number.POSITIVE_INFINITY };

function watched(options: Partial<TieredOptions<unknown>> = {}) {
  const events: TieredEvent[] = [];
  const made = world({
    backTimeoutMs: 200,
    breaker: { failures: 3, pauseMs: 100, maxPauseMs: 1_000 },
    onEvent: (event) => events.push(event),
    ...options,
  });
  const types = (): string[] => events.map(({ type }) => type);
  /** Lets the back fail until it is left alone. */
  const fail = async (): Promise<void> => {
    made.backPlan.failNext('read', 'unavailable', FOR_EVER);
    made.backPlan.failNext('commit', 'unavailable', FOR_EVER);
    for (let i = 0; i < 3; i++) expect(await codeOf(made.store.get(`${i}`))).toBe('unavailable');
    expect(made.store.status().back.state).toBe('away');
  };
  return { ...made, events, types, fail };
}

describe('a back that fails', () => {
  it('is left alone after so many failures in a row; every call of it then fails at once', async () => {
    const { env, store, inBack, backPlan, events, fail } = watched();
    await store.set('hot', 1);
    await inBack.set('cold', 1);
    await fail();
    const calls = ['read', 'commit', 'scan', 'feed'].map((of) => backPlan.calls(of as 'read'));
    const before = env.monotonicMs();
    const failing = [
      store.get('cold'),
      store.getMany(['hot', 'cold']),
      store.get('hot', { fresh: true }),
      store.set('hot', 2),
      store.delete('hot'),
      store.update('hot', () => 3),
      store.batch([{ type: 'set', key: 'hot', value: 4 }]),
      store.clear(),
      store.list()[Symbol.asyncIterator]().next(),
      store.keys()[Symbol.asyncIterator]().next(),
      store.cursor(),
      store.watch({ after: 'start' })[Symbol.asyncIterator]().next(),
      ...['get', 'set', 'list', 'keys'].map(async (name) => {
        const { blocking } = store;
        if (name === 'get') return blocking.get('cold');
        if (name === 'set') return blocking.set('hot', 5);
        return [...(name === 'list' ? blocking.list() : blocking.keys())];
      }),
    ];
    for (const one of await Promise.allSettled(failing)) {
      expect(one.status).toBe('rejected');
      const { reason } = one as PromiseRejectedResult;
      expect(reason).toMatchObject({ code: 'unavailable', retryable: true });
      expect(reason.cause).toBe(events[0]?.type === 'back-away' ? events[0].cause : undefined);
      expect(reason.details.retryInMs).toBeGreaterThan(0);
      expect(reason.details.retryInMs).toBeLessThanOrEqual(100);
    }
    expect(env.monotonicMs()).toBe(before);
    expect(['read', 'commit', 'scan', 'feed'].map((of) => backPlan.calls(of as 'read'))).toEqual(
      calls,
    );
    expect(await store.get('hot')).toBe(1);
    expect(store.blocking.get('hot')).toBe(1);
    expect(store.status().back).toMatchObject({ state: 'away', awayMs: 0 });
    expect(store.status().back.lastError?.code).toBe('unavailable');
  });

  it('is noticed to be there again although nobody asks, and nothing keeps the process for that', async () => {
    const { env, store, inBack, backPlan, types, fail } = watched();
    await inBack.set('cold', 1);
    await fail();
    const inVain = backPlan.calls('read');
    await env.advance(5_000);
    expect(backPlan.calls('read')).toBeGreaterThan(inVain + 3);
    expect(backPlan.calls('read')).toBeLessThan(inVain + 15);
    expect(types()).toEqual(['back-away']);
    backPlan.heal();
    await env.advance(1_000);
    expect(types()).toEqual(['back-away', 'back-returned']);
    expect(store.status().back).toEqual({ state: 'up' });
    expect(await store.get('cold')).toBe(1);
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('tells how long it was away', async () => {
    const { env, backPlan, events, fail } = watched();
    await fail();
    await env.advance(3_000);
    backPlan.heal();
    await env.advance(1_000);
    const returned = events.at(-1);
    expect(returned?.type === 'back-returned' && returned.awayMs).toBeGreaterThan(3_000);
    expect(returned?.type === 'back-returned' && returned.awayMs).toBeLessThanOrEqual(4_000);
  });

  it('is tried by one call at a time', async () => {
    const { env, store, backPlan, fail } = watched();
    await fail();
    backPlan.heal();
    backPlan.hangNext('read', FOR_EVER);
    const before = backPlan.calls('read');
    await env.advance(100);
    expect(backPlan.calls('read')).toBe(before + 1);
    for (let i = 0; i < 10; i++) expect(await codeOf(store.get('cold'))).toBe('unavailable');
    expect(backPlan.calls('read')).toBe(before + 1);
    backPlan.heal();
    await settled();
    expect(await store.get('cold')).toBeUndefined();
  });

  it('is tried by blocking calls too, which keep timers from running', async () => {
    const { env, store, inBack, backPlan, fail } = watched();
    await inBack.set('cold', 1);
    await fail();
    backPlan.heal();
    expect(() => store.blocking.get('cold')).toThrow(/away/);
    // Time passes while the thread is held.
    Object.assign(env, { monotonicMs: () => 150 });
    expect(store.blocking.get('cold')).toBe(1);
    expect(store.status().back.state).toBe('up');
  });

  it('is not left alone for what says nothing of it', async () => {
    const { store, backPlan, types } = watched();
    await store.set('k', 1);
    for (const code of ['conflict', 'corrupt', 'denied', 'overloaded', 'no-space'] as const)
      for (let i = 0; i < 4; i++) {
        backPlan.failNext('commit', code);
        expect(await codeOf(store.set('k', i))).toBe(code);
      }
    for (let i = 0; i < 9; i++) {
      expect(await codeOf(store.set('k', 2, { if: 'absent' }))).toBe('conflict');
      expect(await codeOf(store.set('k', 2, { meta: 5 as never }))).toBe('invalid-argument');
    }
    // Two failures, and an answer.
    for (let i = 0; i < 9; i++) {
      if (i % 3 < 2) backPlan.failNext('read');
      await codeOf(store.get(`${i}`));
    }
    expect(types()).toEqual([]);
  });

  it('is not left alone because callers give up', async () => {
    const { env, store, backPlan, types } = watched();
    backPlan.hangNext('read', FOR_EVER).hangNext('commit', FOR_EVER);
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const given = { signal: controller.signal };
      const calls = [
        codeOf(store.set(`k${i}`, 1, given)),
        codeOf(store.update('k', () => 1, given)),
      ];
      await env.advance(10);
      controller.abort();
      expect(await Promise.all(calls)).toEqual(['aborted', 'aborted']);
    }
    await env.advance(1_000);
    expect(types()).toEqual([]);
    backPlan.heal();
    // Nor where they do not learn what became of a write.
    backPlan.hangNext('commit', { ...FOR_EVER, applied: true });
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const writing = codeOf(store.set(`other${i}`, 1, { signal: controller.signal }));
      await settled();
      controller.abort();
      expect(await writing).toBe('unknown-outcome');
    }
    expect(types()).toEqual([]);
    backPlan.release();
  });

  it('counts writes of which it does not say whether they were applied', async () => {
    const { store, backPlan, types } = watched();
    backPlan.failNext('commit', 'unknown-outcome', { times: 3, applied: true });
    for (let i = 0; i < 3; i++) expect(await codeOf(store.set(`${i}`, 1))).toBe('unknown-outcome');
    expect(types()).toEqual(['back-away']);
  });

  it('is asked every time where the breaker is switched off', async () => {
    const { store, backPlan, types } = watched({ breaker: false });
    backPlan.failNext('read', 'unavailable', FOR_EVER);
    for (let i = 0; i < 20; i++) expect(await codeOf(store.get('k'))).toBe('unavailable');
    expect(backPlan.calls('read')).toBe(20);
    expect(types()).toEqual([]);
    expect(store.status().back.state).toBe('up');
    backPlan.heal();
    expect(await store.get('k')).toBeUndefined();
  });

  it('keeps its copies in a front that outlives the process, once it is left alone', async () => {
    const env = simulatedEnv();
    const plan = new FaultPlan();
    const inFront = memory({ env });
    const store = tiered({
      front: lateStore(inFront),
      back: faulty(memory({ env }), plan),
      breaker: { failures: 1 },
    });
    await store.setMany([
      ['k', 1],
      ['first', 1],
    ]);
    plan.failNext('commit', 'unavailable', FOR_EVER);
    // A copy that a crash could leave older than the back goes before the back is asked.
    expect(await codeOf(store.set('first', 2))).toBe('unavailable');
    expect(await inFront.get('first')).toBeUndefined();
    for (let i = 0; i < 3; i++) expect(await codeOf(store.set('k', 2))).toBe('unavailable');
    expect(plan.calls('commit')).toBe(2);
    expect(await inFront.get('k')).toBe(1);
    expect(await store.get('k')).toBe(1);
  });

  it('is left alone under an overlay too, which goes on with what is its own', async () => {
    const { env, store, inBack, backPlan, types } = watched({ write: 'front-only' });
    await inBack.set('cold', 1);
    await store.set('own', 1);
    const before = backPlan.calls('read');
    backPlan.failNext('read', 'unavailable', FOR_EVER);
    for (let i = 0; i < 6; i++) expect(await codeOf(store.get(`${i}`))).toBe('unavailable');
    expect(backPlan.calls('read')).toBe(before + 3);
    expect(types()).toEqual(['back-away']);
    await store.set('own', 2);
    expect(await store.get('own')).toBe(2);
    expect(await codeOf(store.set('cold', 2))).toBe('unavailable');
    backPlan.heal();
    await env.advance(1_000);
    expect(types()).toEqual(['back-away', 'back-returned']);
    expect(await store.get('cold')).toBe(1);
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('leaves no timer behind when the store is closed in the midst of a try', async () => {
    const { env, store, backPlan, fail } = watched();
    await fail();
    backPlan.heal();
    backPlan.hangNext('read');
    await env.advance(100);
    expect(backPlan.hanging).toBe(1);
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('is noticed to return through a cache that is its own', async () => {
    const env = simulatedEnv();
    const plan = new FaultPlan();
    const far = memory({ env });
    const inner = tiered({
      front: memory({ env }),
      back: faulty(far, plan),
      negativeTtlMs: 60_000,
      breaker: { failures: 1, pauseMs: 10, maxPauseMs: 10 },
    });
    const store = tiered({
      front: memory({ env }),
      back: inner,
      breaker: { failures: 1, pauseMs: 10, maxPauseMs: 10 },
    });
    plan.failNext('read', 'unavailable', FOR_EVER);
    expect(await codeOf(store.get('k'))).toBe('unavailable');
    await env.advance(1_000);
    expect(store.status().back.state).toBe('away');
    plan.heal();
    await env.advance(100);
    expect(store.status().back.state).toBe('up');
    expect(inner.status().back.state).toBe('up');
  });
});

it('a back that a cache behind it speaks for is away all the same', async () => {
  const env = simulatedEnv();
  const plan = new FaultPlan();
  const breaker = { failures: 1, pauseMs: 10, maxPauseMs: 10 };
  const inner = tiered({
    front: memory({ env }),
    back: faulty(memory({ env }), plan),
    negativeTtlMs: 60_000,
    breaker: false,
  });
  const store = tiered({ front: memory({ env }), back: inner, breaker });
  for (let outage = 0; outage < 2; outage++) {
    plan.failNext('read', 'unavailable', FOR_EVER);
    expect(await codeOf(store.get(`k${outage}`))).toBe('unavailable');
    await env.advance(1_000);
    expect(store.status().back.state).toBe('away');
    plan.heal();
    await env.advance(100);
    expect(store.status().back.state).toBe('up');
  }
});

describe('a back that hangs', () => {
  const calls: Record<string, (store: ReturnType<typeof watched>['store']) => Promise<unknown>> = {
    get: (store) => store.get('k'),
    'fresh get': (store) => store.get('k', { fresh: true }),
    getMany: (store) => store.getMany(['k']),
    set: (store) => store.set('k', 1),
    delete: (store) => store.delete('k'),
    update: (store) => store.update('k', () => 1),
    batch: (store) => store.batch([{ type: 'set', key: 'k', value: 1 }]),
    getOrSet: (store) => store.getOrSet('k', () => 1),
    clear: (store) => store.clear(),
    'step of list': (store) => store.list()[Symbol.asyncIterator]().next(),
    'step of keys': (store) => store.keys()[Symbol.asyncIterator]().next(),
    cursor: (store) => store.cursor(),
    'start of a watch': (store) => store.watch()[Symbol.asyncIterator]().next(),
    'start of a watch from the start': (store) =>
      store.watch({ after: 'start' })[Symbol.asyncIterator]().next(),
  };
  for (const [name, call] of Object.entries(calls))
    it(`costs a ${name} no more than backTimeoutMs, although it would wait for ever`, async () => {
      for (const write of ['through', 'around'] as const) {
        const { env, store, backPlan } = watched({
          write,
          timeoutMs: Number.POSITIVE_INFINITY,
          breaker: false,
        });
        for (const of of ['read', 'commit', 'scan', 'feed'] as const)
          backPlan.hangNext(of, FOR_EVER);
        let code = 'nothing';
        const calling = codeOf(call(store)).then((given) => {
          code = given;
        });
        await env.advance(199);
        expect(code).toBe('nothing');
        await env.advance(1);
        await calling;
        expect(code).toBe('unavailable');
        backPlan.heal();
      }
    });

  it('bounds the head and every page that a watch asks for', async () => {
    for (const after of [0, 1]) {
      const { env, store, backPlan } = watched();
      await store.set('k', 1);
      backPlan.hangNext('feed', { ...FOR_EVER, after });
      const first = codeOf(store.watch({ after: 'start' })[Symbol.asyncIterator]().next());
      await env.advance(200);
      expect(await first).toBe('unavailable');
    }
  });

  it('lets a watch wait for changes as long as it takes', async () => {
    const { env, store, types } = watched();
    await store.set('k', 1);
    const commits = store.watch()[Symbol.asyncIterator]();
    const next = commits.next();
    await env.advance(3_600_000);
    await store.set('k', 2);
    expect((await next).value.writes).toMatchObject([{ key: 'k', value: 2 }]);
    expect(types()).toEqual([]);
    await commits.return?.();
  });

  it('lets who asks for more time wait for the head of the feed as well', async () => {
    const { env, store, backPlan } = watched();
    backPlan.delay('feed', 2_000);
    const patient = store.cursor({ timeoutMs: 10_000 });
    const usual = codeOf(store.cursor());
    await env.advance(2_000);
    expect(await usual).toBe('unavailable');
    expect(await patient).toEqual(expect.any(String));
    expect((primitivesOf(store).feed as Feed<unknown>).epochOf(0)).toEqual(expect.any(String));
  });
});
