/** Where writing behind is at its edges: full, closing, merging, replaced; in simulated time. */
import '../../../../test/support/behind-loaded.ts';
import { describe, expect, it } from 'vitest';
import { BehindWorld, begin, LEASE_MS, lasting } from '../../../../test/support/behind-world.ts';
import { given } from '../../../../test/support/journal-world.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { Call } from '../../../store/call.ts';
import { defineStore, primitivesOf, type Store, StrataError } from '../../../store/index.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../../testing/index.ts';
import { type TieredStore, tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

type Options = Partial<TieredOptions<unknown>>;
type Commit = (
  writes: readonly Write<unknown>[],
  call: Call,
  inner: () => Promise<CommitOutcome>,
) => Promise<CommitOutcome>;

const merging = { onConflict: () => 'merged' } as Options;
const EVERYTHING = { reverse: false, limit: Number.POSITIVE_INFINITY } as const;

/** The same store with commits of another kind. */
function committing(store: Store<unknown>, commit: Commit, capabilities = {}): Store<unknown> {
  const inner = primitivesOf(store);
  const { blocking: _, ...rest } = inner;
  return defineStore({
    ...rest,
    capabilities: Object.freeze({ ...inner.capabilities, blocking: false, ...capabilities }),
    commit: (writes, call) => commit(writes, call, async () => inner.commit(writes, call)),
  });
}

/** What a store holds, reserved keys included, in another one: what a crash at this moment leaves. */
async function copyOf(store: Store<unknown>, env: SimulatedEnv): Promise<Store<unknown>> {
  const [from, call] = [primitivesOf(store), Call.background(env, 'test')];
  const writes: Write<unknown>[] = [];
  for await (const page of from.scan(EVERYTHING, call))
    for (const { key, value } of page) writes.push({ type: 'set', key, value });
  const copy = lasting(env);
  await primitivesOf(copy).commit(writes, call);
  return copy;
}

/** A key that is written here and there while the back does not take it; then it does. */
async function conflict(options: Options, meanwhile?: (store: TieredStore<unknown>) => unknown) {
  const world = await begin(options);
  const { store, give, back, stall, plans } = world;
  await give(store.set('k', 1));
  await give(store.flush());
  stall();
  if (meanwhile === undefined) await give(store.set('k', 2));
  else await give(Promise.resolve(meanwhile(store)));
  await back.set('k', 'theirs');
  return { ...world, heal: () => plans.back.heal() };
}

describe('what the application merges', () => {
  it('is kept where the room in bytes is full', async () => {
    const { store, back, env, heal } = await conflict(
      { ...merging, maxPending: { bytes: 2_000 } },
      (store) => store.set('k', 'x'.repeat(3_000)),
    );
    heal();
    await env.advance(60_000);
    expect(await back.get('k')).toBe('merged');
    expect(store.pending().keys).toBe(0);
  });

  it('is kept before writers that wait for room', async () => {
    const { store, back, env, heal } = await conflict({ ...merging, maxPending: { keys: 1 } });
    const waiting = codeOf(store.set('other', 1, { timeoutMs: 30_000 }));
    heal();
    await env.advance(60_000);
    expect(await waiting).toBe('no error');
    expect(await back.get('k')).toBe('merged');
  });

  it('reaches the back within a close', async () => {
    const { store, give, back, heal } = await conflict(merging);
    const closing = store.close({ drainMs: 4_000 });
    heal();
    expect(await give(closing)).toMatchObject({ keys: 0 });
    expect(await back.get('k')).toBe('merged');
  });

  it('does not end with the pending entry that has ended', async () => {
    const { store, give, back, stall, plans, env } = await begin(merging);
    await give(store.set('k', 1));
    await give(store.flush());
    stall();
    await store.set('k', 2, { ttlMs: 100 });
    plans.back.failNext('read', 'unavailable', { times: 1_000 });
    await back.set('k', 'theirs');
    await env.advance(1_000);
    plans.back.heal();
    await give(store.flush());
    await give(store.flush());
    expect(await back.get('k')).toBe('merged');
  });

  it('takes the place of an immutable entry, or that becomes a dead letter', async () => {
    const { store, give, back, stall, plans } = await begin(merging);
    stall();
    await give(store.set('k', 'ours', { immutable: true }));
    await back.set('k', 'theirs');
    plans.back.heal();
    await give(store.flush());
    await give(store.flush());
    expect([await back.get('k'), store.pending().deadLetters]).not.toEqual(['theirs', 0]);
    expect(await give(store.get('k'))).toBe(await back.get('k'));
  });
});

describe('what the back keeps', () => {
  it('is read, although the front does not let go of its copy', async () => {
    const { store, give, plans, heal } = await conflict({ onConflict: 'keep-back' });
    plans.front.failNext('commit', 'unavailable', { times: 3 });
    heal();
    await give(store.flush());
    expect(await give(store.get('k'))).toBe('theirs');
  });

  it('is not written over what came later, after a crash', async () => {
    const world = new BehindWorld();
    const { env } = world;
    const give = <T>(promise: Promise<T>): Promise<T> => given(env, promise);
    const picky = committing(world.back, async (writes, _call, inner) => {
      if (!writes.some((write) => write.type === 'set' && write.value === 'bad')) return inner();
      throw new StrataError('invalid-argument', 'commit: no', { operation: 'commit', key: 'k' });
    });
    const open = (journal: Store<unknown>) =>
      tiered({
        front: memory<unknown>({ env }),
        back: picky,
        write: 'behind',
        journal,
        leaseMs: LEASE_MS,
        env,
      });
    await world.back.set('k', 'before');
    const store = open(world.journal);
    await give(store.set('k', 'bad'));
    await give(store.flush());
    expect(store.pending().deadLetters).toBe(1);
    const left = await copyOf(world.journal, env);
    await world.back.set('k', 'later');
    const next = open(left);
    await give(next.flush());
    expect(await world.back.get('k')).toBe('later');
    expect(await give(next.get('k'))).toBe('later');
  });
});

describe('room', () => {
  it('is not overdrawn by those who waited for it', async () => {
    const { store, give, stall, plans, env, events } = await begin({ maxPending: { keys: 2 } });
    stall();
    await give(
      store.setMany([
        ['a', 1],
        ['b', 1],
      ]),
    );
    const writing = Array.from({ length: 100 }, (_, n) =>
      codeOf(store.set(`k${n}`, 1, { timeoutMs: 60_000 })),
    );
    await env.advance(0);
    plans.back.heal();
    await give(Promise.all(writing));
    await give(store.flush());
    expect(Math.max(...events.map((e) => (e.type === 'flushed' ? e.keys : 0)))).toBe(2);
  });

  it('is looked for with pauses while the journal forgets nothing', async () => {
    const { store, give, stall, plans, env } = await begin({ maxPending: { bytes: 2_000 } });
    stall();
    await give(store.set('k', 'x'.repeat(3_000)));
    const writing = codeOf(store.set('l', 1, { timeoutMs: 20_000 }));
    const before = plans.journal.calls('commit');
    plans.journal.failNext('commit', 'unavailable', { times: 500 });
    plans.back.heal();
    await env.advance(1_000);
    expect(plans.journal.calls('commit') - before).toBeLessThan(100);
    plans.journal.heal();
    expect(await give(writing)).toBe('no error');
  });

  it('is there for a write although the journal fails to forget', async () => {
    const world = new BehindWorld();
    const { env, back } = world;
    let failures = 0;
    const journal = committing(world.journal, async (writes, _call, inner) => {
      const adds = writes.some((write) => write.type === 'set' && write.if === 'absent');
      const removes = writes.some(({ type, key }) => type === 'delete' && key.includes('/record/'));
      if (adds || !removes) return inner();
      failures++;
      await new Promise<void>((resolve) => env.setTimer(resolve, 50));
      throw new StrataError('unavailable', 'commit: no', { operation: 'commit' });
    });
    const front = memory<unknown>({ env });
    const store = tiered({ front, back, write: 'behind', journal, env });
    await given(env, store.set('a', 1));
    await given(env, store.flush());
    while (failures === 0) await env.advance(10);
    expect(await codeOf(given(env, store.set('b', 1)))).toBe('no error');
  });
});

describe('a condition', () => {
  it('does not fail because of a write that the journal did not take', async () => {
    const { store, give, plans } = await begin();
    const first = codeOf(store.set('z', 1));
    const second = codeOf(store.set('k', 1));
    const third = codeOf(store.set('k', 2, { if: 'absent' }));
    plans.journal.failNext('commit', 'unavailable');
    await give(first);
    expect([await give(second), await give(third)]).not.toContain('conflict');
  });
});

describe('a back without conditional writes', () => {
  it('keeps the newer write where the answer to the older is late', async () => {
    const env = simulatedEnv();
    const inBack = memory<unknown>({ env });
    let land = (): void => {};
    let isFirst = true;
    const capabilities = { atomic: 'key', conditional: 'none', feed: false };
    const back = committing(
      inBack,
      async (_writes, call, inner) => {
        call.markSent();
        if (isFirst) await new Promise<void>((resolve) => (land = resolve));
        isFirst = false;
        return inner();
      },
      capabilities,
    );
    const front = memory<unknown>({ env });
    const store = tiered({ front, back, write: 'behind', journal: 'volatile', env });
    await given(env, store.set('k', 1));
    await env.advance(10_000);
    await given(env, store.set('k', 2));
    await env.advance(10_000);
    land();
    await given(env, store.flush());
    await env.advance(10_000);
    expect(await inBack.get('k')).toBe(2);
  });
});

describe('a pending entry that ends', () => {
  it('takes what it replaced with it', async () => {
    const { store, give, back, stall, plans, env } = await begin();
    await give(store.set('k', 'old'));
    await give(store.flush());
    stall();
    await give(store.set('k', 'brief', { ttlMs: 1_000 }));
    await env.advance(5_000);
    expect(await give(store.get('k'))).toBeUndefined();
    plans.back.heal();
    await give(store.flush());
    expect(store.pending().deadLetters).toBe(0);
    expect(await back.get('k')).toBeUndefined();
    await give(store.set('k', 'new', { if: 'absent' }));
  });
});

describe('lists', () => {
  it('are whole while windows land in their midst', async () => {
    const env = simulatedEnv();
    let seed = 7;
    const random = (n: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
      return (seed >>> 8) % n;
    };
    const keyOf = (n: number): string => `k${String(n).padStart(4, '0')}`;
    for (let round = 0; round < 12; round++) {
      const plan = new FaultPlan();
      const [front, inBack] = [memory<unknown>({ env }), memory<unknown>({ env })];
      const back = faulty(inBack, plan);
      const retry = { minMs: 1, maxMs: 5 };
      const store = tiered({ front, back, write: 'behind', journal: 'volatile', retry, env });
      const model = new Map<string, unknown>();
      for (let n = 0; n < 1_500; n += 1 + random(3)) model.set(keyOf(n), n);
      await inBack.setMany(model);
      await store.has('opened');
      plan.failNext('commit', 'unavailable', { times: 1_000 });
      for (let n = 0; n < 400; n++) {
        const [key, value] = [keyOf(random(1_500)), random(1_000)];
        if (random(2) === 0) await store.delete(key);
        else await store.set(key, value);
        if (await store.has(key)) model.set(key, value);
        else model.delete(key);
      }
      const reverse = random(2) === 0;
      const range = { reverse, prefix: random(2) === 0 ? 'k' : 'k0', limit: 1 + random(1_200) };
      const expected = [...model.keys()].filter((key) => key.startsWith(range.prefix)).sort();
      if (reverse) expected.reverse();
      const healAt = random(600);
      const found: [string, unknown][] = [];
      for await (const { key, value } of store.list(range)) {
        if (found.push([key, value]) !== healAt) continue;
        plan.heal();
        await env.advance(100);
      }
      const wanted = expected.slice(0, range.limit).map((key) => [key, model.get(key)]);
      expect(found).toEqual(wanted);
      expect([...store.blocking.list(range)].map(({ key, value }) => [key, value])).toEqual(wanted);
      plan.heal();
      await given(env, store.close());
    }
  });
});
