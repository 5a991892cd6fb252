/**
 * Two tiered stores that follow one back, and somebody who writes into it directly, in every order
 * of events: whoever has read, written or been told of a state of a key never gets an older one from
 * the same store, and in the end both fronts hold what the back holds.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { memory } from '../../drivers/memory/index.ts';
import { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import { defineStore, isStrataError } from '../../store/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Feed, Position } from '../../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { type TieredOptions, type TieredStore, tiered } from './index.ts';

const KEYS = ['a', 'b'] as const;

const operation = fc.record({
  by: fc.constantFrom(...(['one', 'two', 'one', 'two', 'others'] as const)),
  kind: fc.constantFrom(
    ...(['get', 'get', 'get', 'getMany', 'fresh', 'set', 'set', 'delete', 'batch'] as const),
    ...(['update', 'setMany', 'clear', 'absent', 'pass', 'blocking'] as const),
  ),
  key: fc.constantFrom(...KEYS),
  follows: fc.boolean(),
});
const faults = fc.array(
  fc.record({
    part: fc.constantFrom(...(['one', 'two', 'back', 'back'] as const)),
    operation: fc.constantFrom(...(['read', 'commit', 'feed', 'feed'] as const)),
    after: fc.integer({ min: 0, max: 8 }),
    applied: fc.boolean(),
    expired: fc.boolean(),
  }),
  { maxLength: 4 },
);

interface Setup {
  readonly lateFront: boolean;
  readonly lateBack: boolean;
  readonly options: Partial<TieredOptions<unknown>>;
}

type Wait = (step: string) => Promise<unknown>;

/** The same store with a feed whose every step takes its time. */
function lateFeed<V>(store: Store<V>, wait: Wait): Store<V> {
  const inner = primitivesOf(store);
  const feed = inner.feed as Feed<V>;
  return defineStore({
    ...inner,
    feed: {
      state: async (call) => {
        await wait('feed: state');
        const state = await feed.state(call);
        await wait('feed: state answers');
        return state;
      },
      async *read(after, call) {
        await wait('feed: read');
        for await (const page of feed.read(after, call)) {
          await wait('feed: page');
          yield page;
        }
      },
      wait: async (after, call) => {
        await feed.wait(after, call);
        await wait('feed: rings');
      },
      epochOf: (rev) => feed.epochOf(rev),
    },
  });
}

/** What a store gave: which content of a key, between which moments, not older than which revision. */
interface Read {
  readonly key: string;
  readonly value: unknown;
  readonly from: number;
  readonly to: number;
  readonly atLeastRev: number;
  readonly headRev: number;
}

/** What a store acknowledged or told of. */
interface Known {
  readonly key: string;
  readonly rev: number;
  readonly at: number;
}

/** One who uses a store, and notes all that it is given. */
class Observer {
  readonly reads: Read[] = [];
  readonly known: Known[] = [];
  readonly store: Store<unknown>;
  readonly #world: World;

  constructor(store: Store<unknown>, world: World) {
    this.store = store;
    this.#world = world;
  }

  async do(kind: string, key: string): Promise<void> {
    const { store } = this;
    const value = this.#world.next();
    switch (kind) {
      case 'get':
        return this.read([key], async () => [await store.get(key)]);
      case 'fresh':
        return this.read([key], async () => [await store.get(key, { fresh: true })]);
      case 'getMany':
        return this.read(KEYS, async () => {
          const found = await store.getMany(KEYS);
          return KEYS.map((each) => found.get(each));
        });
      case 'blocking':
        return this.read([key], async () => [
          (store as Partial<StoreWithBlocking<unknown>>).blocking?.get(key) ??
            (await store.get(key)),
        ]);
      case 'set':
        return this.#learn(key, (await store.set(key, value)).rev);
      case 'absent':
        return this.#learn(key, (await store.set(key, value, { if: 'absent' })).rev);
      case 'update': {
        let from = this.#world.tick();
        const entry = await store.update(key, (old) => {
          this.#note(key, old, from);
          from = this.#world.tick();
          return value;
        });
        return this.#learn(key, entry?.rev);
      }
      case 'setMany':
        return void (await store.setMany(KEYS.map((each) => [each, value] as const)));
      case 'batch': {
        const { results } = await store.batch([
          { type: 'delete', key },
          ...KEYS.map((each) => ({ type: 'set', key: each, value }) as const),
        ]);
        KEYS.forEach((each, i) => {
          this.#learn(each, results[i + 1]?.entry?.rev);
        });
        return;
      }
      case 'delete':
        return void (await store.delete(key));
      case 'clear':
        return void (await store.deleteMany(KEYS));
      case 'pass':
        return this.#world.env.advanceSync(60);
    }
  }

  async read(
    keys: readonly string[],
    read: () => Promise<unknown[]>,
    atLeastRev = 0,
  ): Promise<void> {
    const from = this.#world.tick();
    const values = await read();
    keys.forEach((key, i) => {
      this.#note(key, values[i], from, atLeastRev);
    });
  }

  #note(key: string, value: unknown, from: number, atLeastRev = 0): void {
    const to = this.#world.tick();
    this.reads.push({ key, value, from, to, atLeastRev, headRev: this.#world.head() });
  }

  /** Reads each key of which a watch tells, for as long as it goes. */
  async watch(): Promise<void> {
    try {
      for await (const { writes, to } of this.store.watch())
        for (const { key } of writes)
          await this.read([key], async () => [await this.store.get(key)], to);
    } catch (error) {
      // A planned fault, or the close.
      if (!isStrataError(error)) throw error;
    }
  }

  #learn(key: string, rev: number | undefined): void {
    if (rev !== undefined) this.known.push({ key, rev, at: this.#world.tick() });
  }
}

interface World {
  readonly env: SimulatedEnv;
  tick(): number;
  next(): number;
  head(): number;
}

/** Every commit of a memory store, one by one. */
async function historyOf(store: Store<unknown>, env: SimulatedEnv) {
  const feed = primitivesOf(store).feed as Feed<unknown>;
  const call = Call.background(env, 'history');
  const { head } = await feed.state(call);
  let at: Position = { epoch: head.epoch, rev: 0, id: '' };
  const states = [{ rev: 0, values: new Map<string, unknown>() }];
  while (at.rev < head.rev)
    for await (const { changes, end } of feed.read(at, call)) {
      at = end as Position;
      const values = new Map(states.at(-1)?.values);
      for (const change of changes as readonly Change<unknown>[])
        values.set(change.key, change.type === 'set' ? change.value : undefined);
      states.push({ rev: at.rev, values });
    }
  return states;
}

/** Finds for every read a state that it may have seen, such that none is older than one known before it began. */
function checkOrder(
  { reads, known }: Observer,
  states: readonly { rev: number; values: ReadonlyMap<string, unknown> }[],
): void {
  const placed: (Read & { readonly rev: number })[] = [];
  for (const read of reads.toSorted((x, y) => x.to - y.to)) {
    const { key, value, from, headRev } = read;
    const before = placed.filter((other) => other.key === key && other.to < from);
    const written = known.filter((other) => other.key === key && other.at < from);
    const least = Math.max(read.atLeastRev, ...[...before, ...written].map(({ rev }) => rev));
    const state = states.find(
      ({ rev, values }) => rev >= least && rev <= headRev && values.get(key) === value,
    );
    if (state === undefined)
      throw new Error(
        `${key} was ${value}, which it is at no revision from ${least} to ${headRev} of ${JSON.stringify(states.map(({ rev, values }) => [rev, values.get(key)]))}`,
      );
    placed.push({ ...read, rev: state.rev });
  }
}

async function race(
  { lateFront, lateBack, options }: Setup,
  s: fc.Scheduler,
  operations: readonly { by: string; kind: string; key: string; follows: boolean }[],
  planned: readonly {
    part: string;
    operation: string;
    after: number;
    applied: boolean;
    expired: boolean;
  }[],
): Promise<void> {
  const env = simulatedEnv();
  const inBack = memory({ env });
  await inBack.set('a', 'first');
  const plans = { one: new FaultPlan(), two: new FaultPlan(), back: new FaultPlan() };
  for (const { part, operation: where, after, applied, expired } of planned) {
    const code = expired && where === 'feed' ? 'cursor-expired' : undefined;
    plans[part as 'back'].failNext(where as 'read', code, { after, applied });
  }
  const wait: Wait = (step) => s.schedule(Promise.resolve(), step);
  let ticks = 0;
  let count = 0;
  const world: World = {
    env,
    tick: () => ++ticks,
    next: () => ++count,
    head: () => Number.parseInt(inBack.blocking.cursor().split('.')[1] as string, 36),
  };
  const fronts = [memory({ env }), memory({ env })];
  const open = (name: 'one' | 'two', at: number): TieredStore<unknown> => {
    const front = faulty(fronts[at] as StoreWithBlocking<unknown>, plans[name]);
    const back = faulty(inBack, plans.back);
    return tiered({
      front: lateFront ? lateStore(front, wait, { name: `front ${name}` }) : front,
      back: lateBack ? lateFeed(lateStore(back, wait, { name: 'back' }), wait) : back,
      follow: true,
      closeParts: false,
      ...options,
    });
  };
  const users = {
    one: new Observer(open('one', 0), world),
    two: new Observer(open('two', 1), world),
    others: new Observer(inBack, world),
  };
  const watching = [users.one, users.two].map((user) => user.watch());
  const last: Record<string, Promise<unknown>> = {};
  for (const { by, kind, key, follows } of operations) {
    const begin = (follows && last[by]) || s.schedule(Promise.resolve(), `begin ${by} ${kind}`);
    // Planned faults fail operations: what they then may not do is checked below.
    last[by] = begin.then(() => users[by as 'one'].do(kind, key)).catch(() => {});
  }
  const rest = async (ms: number, stepMs: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await s.waitIdle();
      await env.advance(stepMs);
    }
    await s.waitIdle();
  };
  await rest(3_000, 100);
  for (const plan of Object.values(plans)) plan.heal();
  await rest(30_000, 500);
  await rest(100, 10);

  const states = await historyOf(inBack, env);
  const stores = [users.one.store, users.two.store] as TieredStore<unknown>[];
  for (const [i, store] of stores.entries()) {
    expect(store.status().follow).toEqual({ state: 'following', lagMs: 0 });
    for (const key of KEYS) {
      const truth = inBack.blocking.getEntry(key);
      const copy = fronts[i]?.blocking.getEntry(key);
      if (copy !== undefined && store.status().fenced === 0)
        expect(copy.origin?.version).toBe(truth?.version);
      const reading = store.getEntry(key);
      await s.waitIdle();
      expect(await reading).toEqual(truth);
    }
  }
  checkOrder(users.one, states);
  checkOrder(users.two, states);
  const closing = stores.map((store) => store.close());
  await rest(5_000, 500);
  await Promise.all([...closing, ...watching]);
  expect(env.pendingTimers).toBe(0);
}

const setups: Record<string, Setup> = {};
const policies: Record<string, Partial<TieredOptions<unknown>>> = {
  through: {},
  around: { write: 'around' },
  'read alone': { read: 'front-only' },
  bounded: { maxLagMs: 400, negativeTtlMs: 10_000 },
  'few fences': { maxFenced: 1 },
};
for (const lateFront of [true, false])
  for (const lateBack of [true, false])
    for (const [name, options] of Object.entries(policies))
      setups[
        `${name}, ${lateFront ? 'late' : 'prompt'} front, ${lateBack ? 'late' : 'prompt'} back`
      ] = { lateFront, lateBack, options };

describe('whatever the order of events', () => {
  const numRuns = Number(process.env.STRATAKV_RUNS ?? 60);
  for (const [name, setup] of Object.entries(setups))
    it(name, { timeout: 600_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(operation, { minLength: 2, maxLength: 14 }),
          faults,
          (s, operations, planned) => race(setup, s, operations, planned),
        ),
        { numRuns, interruptAfterTimeLimit: 60_000 },
      );
    });
});
