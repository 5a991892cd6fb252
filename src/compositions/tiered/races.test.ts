/**
 * Many operations at once, over parts that answer in any order and sometimes fail: whatever the
 * order, a read gives what the key held in the store that counts at some moment while it ran, and
 * in the end both parts agree.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { memory } from '../../drivers/memory/index.ts';
import { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Feed, Position } from '../../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { type TieredOptions, type TieredStoreWithBlocking, tiered } from './index.ts';

const KEYS = ['a', 'b'] as const;
const MARK = '\u0000tiered/deleted/';

const operation = fc.record({
  kind: fc.constantFrom(
    ...([
      'get',
      'get',
      'getMany',
      'has',
      'set',
      'set',
      'delete',
      'batch',
      'update',
      'clear',
      'increment',
    ] as const),
    ...(['blocking get', 'blocking set', 'blocking delete'] as const),
  ),
  key: fc.constantFrom(...KEYS),
  /** Waits for the one before it, as one caller's next operation does. */
  follows: fc.boolean(),
});
const faults = fc.array(
  fc.record({
    part: fc.constantFrom('front', 'back'),
    operation: fc.constantFrom('read', 'commit'),
    after: fc.integer({ min: 0, max: 6 }),
    applied: fc.boolean(),
  }),
  { maxLength: 3 },
);

interface Read {
  readonly key: string;
  readonly value: unknown;
  readonly fromRev: number;
  readonly toRev: number;
}

/** Carries out operations and notes what reads gave, and between which revisions of the truth. */
class Runner {
  readonly reads: Read[] = [];
  /** Increments of `n` tried, and acknowledged. */
  tried = 0;
  counted = 0;
  readonly #store: StoreWithBlocking<unknown>;
  readonly #head: () => number;
  #count = 0;

  constructor(store: StoreWithBlocking<unknown>, head: () => number) {
    this.#store = store;
    this.#head = head;
  }

  async do(kind: string, key: string): Promise<void> {
    const store = this.#store;
    const { blocking } = store;
    const value = ++this.#count;
    switch (kind) {
      case 'get':
        return this.#read([key], async () => [await store.get(key)]);
      case 'getMany':
        return this.#read(KEYS, async () => {
          const found = await store.getMany(KEYS);
          return KEYS.map((each) => found.get(each));
        });
      case 'has':
        return void (await store.has(key));
      case 'set':
        return void (await store.set(key, value));
      case 'delete':
        return void (await store.delete(key));
      case 'batch':
        return void (await store.batch([
          { type: 'delete', key },
          ...KEYS.map((each) => ({ type: 'set', key: each, value }) as const),
        ]));
      case 'update':
        return void (await store.update(key, () => value));
      case 'increment':
        this.tried++;
        await store.update('n', (n) => ((n as number | undefined) ?? 0) + 1);
        this.counted++;
        return;
      case 'clear':
        return void (await store.deleteMany(KEYS));
      case 'blocking get':
        return this.#read([key], async () => [blocking.get(key)]);
      case 'blocking set':
        return void blocking.set(key, value);
      case 'blocking delete':
        return void blocking.delete(key);
    }
  }

  async #read(keys: readonly string[], read: () => Promise<unknown[]>): Promise<void> {
    const fromRev = this.#head();
    const values = await read();
    const toRev = this.#head();
    keys.forEach((key, i) => {
      this.reads.push({ key, value: values[i], fromRev, toRev });
    });
  }
}

/** Every commit of a memory store, one by one. */
async function historyOf(store: Store<unknown>, env: SimulatedEnv) {
  const feed = primitivesOf(store).feed as Feed<unknown>;
  const call = Call.background(env, 'history');
  const { head } = await feed.state(call);
  let at: Position = { epoch: head.epoch, rev: 0, id: '' };
  const commits: { rev: number; changes: readonly Change<unknown>[] }[] = [];
  while (at.rev < head.rev)
    for await (const { changes, end } of feed.read(at, call)) {
      at = end as Position;
      commits.push({ rev: at.rev, changes });
    }
  return commits;
}

interface Setup {
  readonly lateFront: boolean;
  readonly lateBack: boolean;
  readonly options: Partial<TieredOptions<unknown>>;
}

async function race(
  { lateFront, lateBack, options }: Setup,
  s: fc.Scheduler,
  operations: readonly { kind: string; key: string; follows: boolean }[],
  planned: readonly { part: string; operation: string; after: number; applied: boolean }[],
): Promise<void> {
  const env = simulatedEnv();
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  await inBack.set('a', 'first');
  const plans = { front: new FaultPlan(), back: new FaultPlan() };
  const wait = (step: string): Promise<unknown> => s.schedule(Promise.resolve(), step);
  const front = faulty(inFront, plans.front);
  const back = faulty(inBack, plans.back);
  const store = tiered({
    front: lateFront ? lateStore(front, wait, { name: 'front', blocking: true }) : front,
    back: lateBack ? lateStore(back, wait, { name: 'back', blocking: true }) : back,
    ...options,
  }) as TieredStoreWithBlocking<unknown>;
  const overlaid = options.write === 'front-only';
  for (const { part, operation: where, after, applied } of planned) {
    // The front of an overlay is its truth: failures there are tested elsewhere.
    if (overlaid && part === 'front') continue;
    plans[part as 'front' | 'back'].failNext(where as 'read', undefined, { after, applied });
  }
  const truth = overlaid ? inFront : inBack;
  const head = (): number => Number.parseInt(truth.blocking.cursor().split('.')[1] as string, 36);
  const runner = new Runner(store, head);
  let last: Promise<unknown> = Promise.resolve();
  for (const { kind, key, follows } of operations) {
    const begin = follows ? last : s.schedule(Promise.resolve(), `begin ${kind} ${key}`);
    // Planned faults fail operations: what they then may not do is checked below.
    last = begin.then(() => runner.do(kind, key)).catch(() => {});
  }
  await s.waitIdle();
  await env.advance(60_000);
  await s.waitIdle();
  plans.front.heal();
  plans.back.heal();

  const history = await historyOf(truth, env);
  const states = [
    { rev: 0, values: new Map<string, unknown>([['a', overlaid ? 'first' : undefined]]) },
  ];
  for (const { rev, changes } of history) {
    const values = new Map(states.at(-1)?.values);
    for (const change of changes) {
      if (change.key.startsWith(MARK)) {
        if (change.type === 'set') values.set(change.key.slice(MARK.length), undefined);
      } else if (change.type === 'set') {
        // A copy shows what was to be seen before: it is no change.
        if (overlaid && change.origin !== undefined)
          expect(values.get(change.key)).toBe(change.value);
        values.set(change.key, change.value);
      } else values.set(change.key, undefined);
    }
    states.push({ rev, values });
  }
  for (const { key, value, fromRev, toRev } of runner.reads) {
    const possible = states
      .filter(({ rev }) => rev >= fromRev && rev <= toRev)
      .map(({ values }) => values.get(key));
    expect(possible).toContain(value);
  }
  const final = states.at(-1)?.values as Map<string, unknown>;
  const total = store.blocking.get('n') ?? 0;
  expect(total).toBeGreaterThanOrEqual(runner.counted);
  expect(total).toBeLessThanOrEqual(runner.tried);
  for (const key of KEYS) {
    expect(store.blocking.get(key)).toBe(final.get(key));
    const reading = store.get(key);
    await s.waitIdle();
    expect(await reading).toBe(final.get(key));
    const copy = inFront.blocking.getEntry(key);
    if (copy !== undefined && !overlaid)
      expect(copy.origin?.version).toBe(inBack.blocking.getEntry(key)?.version);
    if (copy === undefined) continue;
    // Nothing is left under way: the front serves again.
    const calls = plans.back.calls('read');
    expect(store.blocking.get(key)).toBe(final.get(key));
    expect(plans.back.calls('read')).toBe(calls);
  }
  const closing = store.close();
  await s.waitIdle();
  await closing;
  expect(env.pendingTimers).toBe(0);
}

const setups: Record<string, Setup> = {};
for (const lateFront of [true, false])
  for (const lateBack of [true, false])
    for (const write of ['through', 'around', 'front-only'] as const)
      setups[
        `${write}, ${lateFront ? 'late' : 'prompt'} front, ${lateBack ? 'late' : 'prompt'} back`
      ] = {
        lateFront,
        lateBack,
        options: { write },
      };

describe('whatever the order of events', () => {
  for (const [name, setup] of Object.entries(setups))
    it(name, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(operation, { minLength: 2, maxLength: 12 }),
          faults,
          (s, operations, planned) => race(setup, s, operations, planned),
        ),
        { numRuns: 150, interruptAfterTimeLimit: 15_000 },
      );
    });
});
