/**
 * Reads, writes of this store and of others, outages and passing time in any order: what is given is
 * never past its expiry, never older than its freshness allows, never older than what this store
 * itself has written; a fresh read gives what the back holds; and in the end all is as in the back.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { memory } from '../../drivers/memory/index.ts';
import { defineStore } from '../../store/define-store.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { BlockingPrimitives, CommitOutcome, Write } from '../../store/primitives.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { type TieredOptions, type TieredStoreWithBlocking, tiered } from './index.ts';

const KEYS = ['a', 'b'] as const;
const NEVER = Number.POSITIVE_INFINITY;

const step = fc.record({
  kind: fc.constantFrom(
    ...(['get', 'getEntry', 'getEntry', 'getEntries', 'fresh', 'fresh', 'blocking get'] as const),
    ...(['set', 'brief set', 'delete', 'blocking set'] as const),
    ...(['others set', 'others set', 'others brief set', 'others delete'] as const),
    ...(['pass', 'pass', 'pass', 'fail', 'heal'] as const),
  ),
  key: fc.constantFrom(...KEYS),
  ms: fc.integer({ min: 1, max: 90 }),
  follows: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A state of a key in the back, from one moment to another. */
interface State {
  readonly rev: number;
  readonly value: unknown;
  readonly fromMs: number;
  untilMs: number;
}

/** The back, with everything that ever stood in it. */
class Recorded {
  readonly store: StoreWithBlocking<unknown>;
  readonly #states = new Map<string, State[]>();
  readonly #env: SimulatedEnv;

  constructor(env: SimulatedEnv) {
    this.#env = env;
    for (const key of KEYS)
      this.#states.set(key, [{ rev: 0, value: undefined, fromMs: -NEVER, untilMs: NEVER }]);
    const inner = primitivesOf<unknown>(memory<unknown>({ env }));
    const blocking = inner.blocking as BlockingPrimitives<unknown>;
    this.store = defineStore({
      ...inner,
      commit: (writes, call) => this.#noted(writes, inner.commit(writes, call) as CommitOutcome),
      blocking: {
        ...blocking,
        commit: (writes, operation) => this.#noted(writes, blocking.commit(writes, operation)),
      },
    });
  }

  statesOf(key: string): readonly State[] {
    return this.#states.get(key) as State[];
  }

  #noted(writes: readonly Write<unknown>[], done: CommitOutcome): CommitOutcome {
    const { rev } = done;
    const nowMs = this.#env.now();
    for (const write of rev === undefined ? [] : writes) {
      const states = this.#states.get(write.key) as State[];
      const begin = (value: unknown, fromMs: number): void => {
        const last = states.at(-1) as State;
        last.untilMs = Math.min(last.untilMs, fromMs);
        states.push({ rev: rev as number, value, fromMs, untilMs: NEVER });
      };
      // What would have begun later, the end of an entry, does not come.
      while ((states.at(-1) as State).fromMs > nowMs) {
        states.pop();
        (states.at(-1) as State).untilMs = NEVER;
      }
      begin(write.type === 'set' ? write.value : undefined, nowMs);
      if (write.type === 'set' && write.expiresAt !== undefined) begin(undefined, write.expiresAt);
    }
    return done;
  }
}

interface Ages {
  /** How old what is given may be, in ms: usually, when it is marked as stale, and for a miss. */
  readonly usual: number;
  readonly stale: number;
  readonly miss: number;
}

/** Carries out steps and checks what reads give. */
class Runner {
  readonly #env: SimulatedEnv;
  readonly #store: TieredStoreWithBlocking<unknown>;
  readonly #back: Recorded;
  readonly #plan: FaultPlan;
  readonly #ages: Ages;
  /** Of each key the newest revision that somebody knows of: written by this store, or given by a fresh read. */
  readonly #known = new Map<string, number>();
  #count = 0;

  constructor(
    env: SimulatedEnv,
    store: TieredStoreWithBlocking<unknown>,
    back: Recorded,
    plan: FaultPlan,
    ages: Ages,
  ) {
    this.#env = env;
    this.#store = store;
    this.#back = back;
    this.#plan = plan;
    this.#ages = ages;
  }

  async do({ kind, key, ms }: Step): Promise<void> {
    const store = this.#store;
    const others = this.#back.store.blocking;
    const value = `${kind} ${++this.#count}`;
    switch (kind) {
      case 'get':
        // It does not say whether it is stale.
        return this.#read([key], this.#ages.stale, async () => [[await store.get(key), false]]);
      case 'getEntry':
        return this.#read([key], this.#ages.usual, async () => [
          entryOf(await store.getEntry(key)),
        ]);
      case 'getEntries':
        return this.#read(KEYS, this.#ages.usual, async () => {
          const found = await store.getEntries(KEYS);
          return KEYS.map((each) => entryOf(found.get(each)));
        });
      case 'fresh':
        return this.#read([key], 0, async () => {
          const entry = await store.getEntry(key, { fresh: true });
          expect(entry?.stale).toBeUndefined();
          return [entryOf(entry)];
        });
      case 'blocking get':
        return this.#read([key], this.#ages.usual, async () => [
          entryOf(store.blocking.getEntry(key)),
        ]);
      case 'set':
        return this.#knows(key, (await store.set(key, value)).rev);
      case 'brief set':
        return this.#knows(key, (await store.set(key, value, { ttlMs: ms })).rev);
      case 'delete':
        return this.#knows(key, (await store.batch([{ type: 'delete', key }])).rev);
      case 'blocking set':
        return this.#knows(key, store.blocking.set(key, value).rev);
      case 'others set':
        return void others.set(key, value);
      case 'others brief set':
        return void others.set(key, value, { ttlMs: ms });
      case 'others delete':
        return void others.delete(key);
      case 'pass':
        return this.#env.advanceSync(ms);
      case 'fail':
        for (const of of ['read', 'commit'] as const)
          this.#plan.failNext(of, 'unavailable', { times: 4 });
        return;
      case 'heal':
        return void this.#plan.heal();
    }
  }

  #knows(key: string, rev = 0): void {
    this.#known.set(key, Math.max(rev, this.#known.get(key) ?? 0));
  }

  async #read(
    keys: readonly string[],
    usualMs: number,
    read: () => Promise<(readonly [value: unknown, stale: boolean])[]>,
  ): Promise<void> {
    const beganMs = this.#env.now();
    const known = keys.map((key) => this.#known.get(key) ?? 0);
    const given = await read();
    keys.forEach((key, i) => {
      const [value, stale] = given[i] as (typeof given)[number];
      let ageMs = usualMs;
      if (value === undefined && usualMs > 0) ageMs = this.#ages.miss;
      else if (stale) ageMs = this.#ages.stale;
      const possible = this.#back.statesOf(key).filter(
        ({ rev, fromMs, untilMs }) =>
          // Both ends count: what happens in one moment may happen in either order.
          rev >= (known[i] as number) && fromMs <= this.#env.now() && untilMs >= beganMs - ageMs,
      );
      expect(possible.map((state) => state.value)).toContain(value);
      if (value === undefined) return;
      if (usualMs === 0) this.#knows(key, possible.find((state) => state.value === value)?.rev);
      const [end] = this.#back
        .statesOf(key)
        .filter((state, at, all) => state.value === undefined && all[at - 1]?.value === value);
      // An end that is not that of a delete is known from the beginning.
      const expires = end !== undefined && String(value).includes('brief');
      if (expires && end.rev === possible.find((state) => state.value === value)?.rev)
        expect(end.fromMs).toBeGreaterThan(beganMs);
    });
  }
}

function entryOf(
  entry: { readonly value: unknown; readonly stale?: true } | undefined,
): readonly [unknown, boolean] {
  return [entry?.value, entry?.stale === true];
}

interface Setup {
  readonly late: readonly ['front' | 'back', ...('front' | 'back')[]] | readonly [];
  readonly options: Partial<TieredOptions<unknown>>;
}

async function race({ late, options }: Setup, s: fc.Scheduler, steps: Step[]): Promise<void> {
  const env = simulatedEnv();
  const back = new Recorded(env);
  const inFront = memory({ env });
  const plans = { front: new FaultPlan(), back: new FaultPlan() };
  const wait = (what: string): Promise<unknown> => s.schedule(Promise.resolve(), what);
  const part = (name: 'front' | 'back', store: StoreWithBlocking<unknown>) =>
    late.includes(name as never) ? lateStore(store, wait, { name, blocking: true }) : store;
  const store = tiered({
    front: part('front', faulty(inFront, plans.front)),
    back: part('back', faulty(back.store, plans.back)),
    breaker: { failures: 2, pauseMs: 20, maxPauseMs: 100 },
    ...options,
  }) as TieredStoreWithBlocking<unknown>;
  const { ttlMs = 0, staleWhileRevalidateMs = 0, graceMs = 0, negativeTtlMs = 0 } = options;
  const usual = ttlMs + staleWhileRevalidateMs;
  const ages = {
    usual,
    stale: Math.max(usual, ttlMs + graceMs),
    miss: Math.max(ttlMs, negativeTtlMs),
  };
  const runner = new Runner(env, store, back, plans.back, ages);
  const wrong: unknown[] = [];
  let last: Promise<unknown> = Promise.resolve();
  let left = steps.length;
  for (const one of steps) {
    const begin = one.follows ? last : s.schedule(Promise.resolve(), `begin ${one.kind}`);
    // Planned faults fail calls; what they then may not do is checked.
    last = begin
      .then(() => runner.do(one))
      .catch((error: { code?: unknown }) => {
        if (error.code === undefined || error.constructor.name !== 'StrataError') wrong.push(error);
      })
      .then(() => left--);
  }
  while (left > 0) {
    await s.waitIdle();
    await env.advance(1);
  }
  plans.back.heal();
  for (let i = 0; i < 200 && (i < 5 || store.status().back.state === 'away'); i++) {
    await env.advance(50);
    await s.waitIdle();
  }
  await env.advance(60_000);
  await s.waitIdle();
  expect(wrong).toEqual([]);
  expect(store.status().back.state).toBe('up');
  for (const key of KEYS) {
    const truth = back.store.blocking.get(key);
    const reading = store.get(key);
    await s.waitIdle();
    expect(await reading).toBe(truth);
    expect(store.blocking.get(key)).toBe(truth);
  }
  const closing = store.close();
  await s.waitIdle();
  await closing;
  expect(env.pendingTimers).toBe(0);
}

const freshness: Record<string, Partial<TieredOptions<unknown>>> = {
  'fresh for a while': { ttlMs: 60 },
  'refreshed beside': { ttlMs: 40, staleWhileRevalidateMs: 60 },
  'served in an outage': { ttlMs: 40, graceMs: 100, populate: 'await' },
  'with all of it': { ttlMs: 40, staleWhileRevalidateMs: 30, graceMs: 80, negativeTtlMs: 50 },
  'written around, with all of it': {
    write: 'around',
    ttlMs: 40,
    staleWhileRevalidateMs: 30,
    graceMs: 80,
    negativeTtlMs: 50,
  },
};

describe('whatever the order of events', () => {
  for (const [name, options] of Object.entries(freshness))
    for (const late of [['front', 'back'], ['back'], ['front'], []] as const)
      it(`copies ${name}, ${late.length === 0 ? 'prompt parts' : `late ${late.join(' and ')}`}`, async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.scheduler(),
            fc.array(step, { minLength: 4, maxLength: 24, size: 'max' }),
            (s, steps) => race({ late, options }, s, steps),
          ),
          { numRuns: 60, interruptAfterTimeLimit: 15_000 },
        );
      });
});
