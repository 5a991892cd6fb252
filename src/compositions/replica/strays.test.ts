/** Members that answer late or not at all, are written in parts, or lose their data while the replica is open. */
import { describe, expect, test } from 'vitest';
import { DELAY_MS, LateMembers } from '../../../test/support/late-members.ts';
import { memory } from '../../drivers/memory/index.ts';
import { defineStore } from '../../store/define-store.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { WriteOutcome } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { replica } from './index.ts';

describe('a write to a member that was given up', () => {
  test('in a repair is not applied over what was written since', async () => {
    const env = simulatedEnv();
    const [a, b] = [memory<string>({ env }), memory<string>({ env })];
    const plan = new FaultPlan();
    const store = replica({
      sync: [a, faulty(b, plan)],
      closeParts: false,
      memberTimeoutMs: 500,
      env,
    });
    await store.set('k', '1');
    await store.flush();
    await b.set('k', 'past the replica');
    // Its engine goes on with the write that nobody waits for any more.
    const held = heldCommits(b);
    await store.close();
    const again = replica({ sync: [a, held.store], closeParts: false, memberTimeoutMs: 500, env });
    await again.flush();
    held.hold();
    const repairing = again.repair();
    await env.advance(1_000);
    expect(await repairing).toMatchObject({ members: [{ error: { code: 'unknown-outcome' } }] });
    const writing = again.set('k', '2');
    writing.catch(() => {});
    await env.advance(1_000);
    held.release();
    await env.advance(10_000);
    await again.flush();
    expect(await b.get('k')).toBe('2');
    await again.close();
  });

  test('of a queue is not applied over what the feed brought since', async () => {
    const env = simulatedEnv();
    const [a, b] = [memory<string>({ env }), memory<string>({ env })];
    const held = heldCommits(b);
    const first = new FaultPlan();
    const store = replica({
      sync: [faulty(a, first), held.store],
      closeParts: false,
      memberTimeoutMs: 500,
      env,
    });
    await store.set('k', '1');
    await store.flush();
    held.hold();
    const outcomes = [store.set('k', '2')];
    // Nobody knows of this one: the member is brought up to date by the feed.
    first.failNext('commit', undefined, { applied: true });
    outcomes.push(store.set('k', '3'));
    const all = Promise.allSettled(outcomes);
    await env.advance(600);
    await env.advance(1_000);
    held.release();
    await env.advance(10_000);
    await all;
    await store.flush();
    expect(await b.get('k')).toBe('3');
    await store.close();
  });
});

/** A store the first commit of which, once told to, is carried out when it is released, whoever waits for it. */
function heldCommits(inner: Store<string>): {
  store: Store<string>;
  hold(): void;
  release(): void;
} {
  const primitives = primitivesOf(inner);
  let isHolding = false;
  let release = (): void => {};
  const store = defineStore<string>({
    ...primitives,
    commit: (writes, call) => {
      if (!isHolding) return primitives.commit(writes, call);
      isHolding = false;
      call.markSent();
      return new Promise((resolve) => {
        release = () => resolve(primitives.commit(writes, FREE));
      });
    },
    close: async () => {},
  });
  return {
    store,
    hold: () => {
      isHolding = true;
    },
    release: () => release(),
  };
}

const FREE = { operation: 'set', throwIfEnded: () => {}, markSent: () => {} } as never;

describe('a member whose commits are not one step', () => {
  /** Removes before it sets, and stops between both when told to. */
  function inParts(env: SimulatedEnv): Store<string> {
    const primitives = primitivesOf(memory<string>({ env }));
    return defineStore<string>({
      ...primitives,
      capabilities: { ...primitives.capabilities, atomic: 'key' },
      commit: async (writes, call) => {
        const outcomes: WriteOutcome[] = [];
        const order = [...writes].sort((x, y) => (x.type < y.type ? -1 : 1));
        for (const write of order) {
          if (stopped.has(env)) throw new Error('stopped');
          const done = await primitives.commit([write], call);
          outcomes[writes.indexOf(write)] = done.outcomes[0] as WriteOutcome;
          if (write.type === 'delete' && stops.has(env)) stopped.add(env);
        }
        return { outcomes };
      },
    });
  }
  const stops = new Set<SimulatedEnv>();
  const stopped = new Set<SimulatedEnv>();

  test('keeps an intent until its copy is there', async () => {
    const w = await new LateMembers(2, (env, at) =>
      at === 0 ? memory<string>({ env }) : inParts(env),
    ).open();
    await w.take(w.store.set('a', 'old'));
    await w.take(w.store.flush());
    await w.env.advance(100);
    stops.add(w.env);
    await w.take(w.store.set('a', 'new'));
    await w.env.advance(100);
    await w.die();
    stops.clear();
    stopped.clear();
    w.wipe(0);
    await w.open();
    expect(await w.take(w.store.get('a'))).toBe('new');
    await w.take(w.store.close());
  });
});

describe('a member', () => {
  test('that never answers an intent counts as away', async () => {
    const w = await new LateMembers(2).open();
    w.plan(1).hangNext('commit', { times: Number.POSITIVE_INFINITY });
    const { ms, result } = await w.timed(w.store.set('a', '1'));
    expect(result).toMatchObject({ code: 'unknown-outcome' });
    expect(ms).toBeLessThan(1_100);
    expect(w.store.status().members[0]).toMatchObject({ state: 'away' });
    expect(await w.code(w.store.set('a', '2'))).toBe('unavailable');
    w.plan(1).heal();
    await w.env.advance(10_000);
    expect(await w.take(w.store.get('a'))).toBe('1');
    expect(await w.members[1]?.get('a')).toBe('1');
    await w.take(w.store.close());
  });

  test('holds no intent up that is over when the answer of the first store comes', async () => {
    const w = await new LateMembers(2).open();
    // The first store has it long before it says so.
    w.plan(0).hangNext('commit', { applied: true });
    const writing = w.store.set('a', '1');
    await w.env.advance(4 * DELAY_MS);
    w.plan(1).failNext('commit', 'unavailable', { times: 2 });
    const other = w.store.set('b', '1');
    other.catch(() => {});
    await w.env.advance(2_000);
    expect(w.store.status().members[0]).toMatchObject({ state: 'live' });
    w.plan(0).release();
    await w.take(writing);
    await w.env.advance(4 * DELAY_MS);
    expect(await w.intents(1)).toBe(0);
    expect((await w.timed(w.store.update('a', () => '2'))).ms).toBeLessThan(100);
    await w.take(w.store.close());
  });

  test('is asked again for a key whose write failed while it was brought up to date', async () => {
    for (let afterMs = 100; afterMs < 350; afterMs += 10) {
      const w = await new LateMembers(3).open({ write: 2 });
      w.plan(0).delay('feed', 30);
      w.plan(1).failNext('commit', 'unavailable');
      await w.take(w.store.set('a', '1'));
      expect(w.store.status().members[0]).toMatchObject({ state: 'away' });
      await w.env.advance(afterMs);
      w.plan(0).failNext('commit', 'unknown-outcome');
      w.store.set('k', '1').catch(() => {});
      await w.env.advance(10_000);
      expect(w.store.status().members[0]).toMatchObject({ state: 'live', fenced: 0 });
      await w.take(w.store.close());
    }
  });

  test('that loses its data while the replica is open is rebuilt, and not noted as up to date', async () => {
    const w = await new LateMembers(3).open();
    for (let n = 0; n < 20; n++) await w.take(w.store.set(`k${n}`, String(n)));
    await w.take(w.store.flush());
    await w.env.advance(5_000);
    const wiped = w.members[1] as Store<string>;
    const inner = primitivesOf(wiped);
    const keys: string[] = [];
    const call = { throwIfEnded: () => {}, markSent: () => {}, operation: 'clear' } as never;
    for await (const page of inner.scanKeys({ reverse: false, limit: 1_000 }, call))
      keys.push(...page);
    await inner.commit(
      keys.map((key) => ({ type: 'delete', key })),
      call,
    );
    await w.take(w.store.set('after', '1'));
    await w.env.advance(5_000);
    expect(await wiped.get('k7')).toBe('7');
    expect(w.store.status().members[0]).toMatchObject({ state: 'live', fenced: 0 });
    await w.take(w.store.close());
  });
});

describe('a member that lags behind', () => {
  test('gets what it lacks without a read or a write, and no read waits for it', async () => {
    const w = await new LateMembers(3).open({ write: 2 });
    w.plan(1).failNext('commit', 'unavailable', { times: 3 });
    await w.take(w.store.set('a', '1'));
    expect(await w.members[1]?.get('a')).toBeUndefined();
    expect((await w.timed(w.store.get('a'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    await w.env.advance(2_000);
    expect(await w.members[1]?.get('a')).toBe('1');
    expect(w.store.status().members[0]).toMatchObject({ state: 'live', fenced: 0 });
    await w.take(w.store.close());
  });
});

test('a member goes on from its queue however closely writes follow one another', async () => {
  for (const everyWrite of [false, true]) {
    const w = await new LateMembers(3).open({ write: 1, everyWrite, queueLength: 50 });
    w.plan(1).failNext('commit', 'unavailable', { times: 2 });
    const writes: Promise<unknown>[] = [];
    for (let n = 0; n < 2_000; n++) {
      writes.push(w.store.set(`k${n % 7}`, String(n)));
      await w.env.advance(1);
    }
    expect(w.store.status().members.map(({ state }) => state)).toEqual(['live', 'live']);
    await w.take(Promise.all(writes));
    await w.take(w.store.flush());
    const all = await Promise.all(
      w.members.map((member) => Array.fromAsync(member.list(), ({ key, value }) => [key, value])),
    );
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
    await w.take(w.store.close());
  }
});
