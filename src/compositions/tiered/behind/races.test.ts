/**
 * Many operations at once on a store that is written behind, over parts that answer in any order and
 * sometimes fail: a read gives what the store held at some moment while it ran, whether that was
 * pending, under way or in the back by then; and in the end the back holds the last of it.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../../test/support/late-store.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { Call } from '../../../store/call.ts';
import { primitivesOf, type Store } from '../../../store/index.ts';
import type { Feed, FeedState, Position } from '../../../store/primitives.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../../testing/index.ts';
import { tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

const KEYS = ['a', 'b'] as const;

const operation = fc.record({
  kind: fc.constantFrom(
    ...([
      'get',
      'getMany',
      'list',
      'set',
      'set',
      'delete',
      'batch',
      'increment',
      'snapshot',
    ] as const),
  ),
  key: fc.constantFrom(...KEYS),
  /** Waits for the one before it, as one caller's next operation does. */
  follows: fc.boolean(),
});
const faults = fc.array(
  fc.record({
    part: fc.constantFrom('front', 'back'),
    operation: fc.constantFrom('read', 'commit', 'scan'),
    after: fc.integer({ min: 0, max: 6 }),
    applied: fc.boolean(),
  }),
  { maxLength: 3 },
);

type State = ReadonlyMap<string, unknown>;

interface Read {
  readonly values: readonly unknown[];
  readonly keys: readonly string[];
  readonly fromRev: number;
  readonly toRev: number;
}

class Runner {
  readonly reads: Read[] = [];
  /** States that the feed gave from nothing, by their revisions. */
  readonly snapshots: { readonly rev: number; readonly state: State }[] = [];
  tried = 0;
  counted = 0;
  readonly #store: Store<unknown>;
  readonly #feed: Feed<unknown>;
  readonly #call: Call;
  #count = 0;

  constructor(store: Store<unknown>) {
    this.#store = store;
    this.#feed = primitivesOf(store).feed as Feed<unknown>;
    this.#call = Call.background(primitivesOf(store).env, 'test');
  }

  get head(): Position {
    return (this.#feed.state(this.#call) as FeedState).head;
  }

  async do(kind: string, key: string): Promise<unknown> {
    const store = this.#store;
    const value = ++this.#count;
    switch (kind) {
      case 'get':
        return this.#read([key], async () => [await store.get(key)]);
      case 'getMany':
        return this.#read(KEYS, async () => {
          const found = await store.getMany(KEYS);
          return KEYS.map((each) => found.get(each));
        });
      case 'list':
        return this.#read(KEYS, async () => {
          const found = new Map((await Array.fromAsync(store.list())).map((e) => [e.key, e.value]));
          return KEYS.map((each) => found.get(each));
        });
      case 'set':
        return store.set(key, value);
      case 'delete':
        return store.delete(key);
      case 'batch':
        return store.batch([
          { type: 'delete', key },
          ...KEYS.map((each) => ({ type: 'set', key: each, value }) as const),
        ]);
      case 'snapshot':
        return this.#snapshot();
      default:
        this.tried++;
        await store.update('n', (n) => ((n as number | undefined) ?? 0) + 1);
        this.counted++;
        return undefined;
    }
  }

  /** Every state there was, by the commits of the feed. */
  async history(first: State): Promise<readonly { rev: number; state: State }[]> {
    let at: Position = { epoch: this.head.epoch, rev: 0, id: '' };
    const states = [{ rev: 0, state: first }];
    while (at.rev < this.head.rev)
      for await (const { changes, end } of this.#feed.read(at, this.#call)) {
        at = end as Position;
        const state = new Map(states.at(-1)?.state);
        for (const change of changes)
          state.set(change.key, change.type === 'set' ? change.value : undefined);
        states.push({ rev: at.rev, state });
      }
    return states;
  }

  async #read(keys: readonly string[], look: () => Promise<unknown[]>): Promise<void> {
    const fromRev = this.head.rev;
    const values = await look();
    this.reads.push({ keys, values, fromRev, toRev: this.head.rev });
  }

  async #snapshot(): Promise<void> {
    const state = new Map<string, unknown>();
    let rev: number | undefined;
    for await (const { changes, end } of this.#feed.read(undefined, this.#call)) {
      for (const change of changes)
        state.set(change.key, change.type === 'set' ? change.value : undefined);
      rev = end?.rev;
    }
    if (rev !== undefined) this.snapshots.push({ rev, state });
  }
}

async function race(
  options: Partial<TieredOptions<unknown>>,
  lateFront: boolean,
  s: fc.Scheduler,
  operations: readonly { kind: string; key: string; follows: boolean }[],
  planned: readonly { part: string; operation: string; after: number; applied: boolean }[],
): Promise<void> {
  const env = simulatedEnv();
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  // What only the back has is not seen where the front is read alone.
  const first = options.read === 'front-only' ? undefined : 'first';
  if (first !== undefined) await inBack.set('a', first);
  const plans = { front: new FaultPlan(), back: new FaultPlan() };
  const wait = (step: string): Promise<unknown> => s.schedule(Promise.resolve(), step);
  const front = faulty(inFront, plans.front);
  const store = tiered<unknown>({
    front: lateFront ? lateStore(front, wait, { name: 'front' }) : front,
    back: lateStore(faulty(inBack, plans.back), wait, { name: 'back' }),
    write: 'behind',
    journal: 'volatile',
    retry: { minMs: 10, maxMs: 100 },
    ...options,
  });
  await store.cursor();
  for (const { part, operation: where, after, applied } of planned)
    plans[part as 'front' | 'back'].failNext(where as 'read', undefined, { after, applied });
  const runner = new Runner(store);
  const doings: Promise<unknown>[] = [];
  let last: Promise<unknown> = Promise.resolve();
  for (const { kind, key, follows } of operations) {
    const begun = follows ? last : s.schedule(Promise.resolve(), `begin ${kind} ${key}`);
    // Planned faults fail operations: what they then may not do is checked below.
    last = begun.then(() => runner.do(kind, key)).catch(() => {});
    doings.push(last);
  }
  await s.waitIdle();
  plans.front.heal();
  plans.back.heal();
  let flushed = false;
  const flushing = Promise.all(doings)
    .then(() => store.flush())
    .then(() => {
      flushed = true;
    });
  for (let turn = 0; turn < 200 && !flushed; turn++) {
    await s.waitIdle();
    await env.advance(500);
  }
  await flushing;

  const history = await runner.history(new Map([['a', first]]));
  for (const { keys, values, fromRev, toRev } of runner.reads)
    keys.forEach((key, i) => {
      const possible = history
        .filter(({ rev }) => rev >= fromRev && rev <= toRev)
        .map(({ state }) => state.get(key));
      expect(possible, `${key} from ${fromRev} to ${toRev}`).toContain(values[i]);
    });
  for (const { rev, state } of runner.snapshots) {
    const truth = history.find((one) => one.rev === rev)?.state;
    for (const key of [...KEYS, 'n']) expect(state.get(key)).toBe(truth?.get(key));
  }
  const final = history.at(-1)?.state as State;
  expect(final.get('n') ?? 0).toBe(runner.counted);
  for (const key of KEYS) {
    expect(await inBack.get(key)).toBe(final.get(key));
    const reading = store.get(key);
    await s.waitIdle();
    expect(await reading).toBe(final.get(key));
  }
  const closing = store.close();
  for (let turn = 0; turn < 5; turn++) {
    await s.waitIdle();
    await env.advance(10);
  }
  await closing;
  expect(env.pendingTimers).toBe(0);
}

describe('whatever the order of events', () => {
  const setups: Record<string, [Partial<TieredOptions<unknown>>, boolean]> = {
    'a prompt front': [{}, false],
    'a late front': [{}, true],
    'little room': [{ maxPending: { keys: 1 } }, false],
    'a front that is read alone': [{ read: 'front-only' }, true],
  };
  for (const [name, [options, lateFront]] of Object.entries(setups))
    it(name, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(operation, { minLength: 2, maxLength: 14 }),
          faults,
          (s, operations, planned) => race(options, lateFront, s, operations, planned),
        ),
        { numRuns: 120, interruptAfterTimeLimit: 15_000 },
      );
    });
});
