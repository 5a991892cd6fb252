/**
 * Sweeps over random graphs while writers work, their steps laid between any two steps of the
 * sweep. The writers keep to the rule that `sweep` names, and nothing else.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import {
  type Call,
  defineStore,
  type Primitives,
  primitivesOf,
  type Store,
  type StoreWithBlocking,
} from '../store/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { type SweepResult, sweep, touch, type Walker } from './index.ts';

type Node = readonly string[];

const GRACE_MS = 1_000;
const ROOTS = ['root:0', 'root:1', 'root:2'];
const links: Walker<Node> = (_, value) => value;

/** What is taken out of the sweep, to prove that it would be missed. */
type Plant = 'nothing' | 'conditions' | 'feed';

interface Setup {
  readonly seed: number;
  readonly nodes: number;
  /** Without a feed, writers touch everything that they point to anew, and all below it. */
  readonly feed: boolean;
  readonly plant: Plant;
}

/** A store, writers, and all that was ever reachable and is gone. */
class World {
  readonly env: SimulatedEnv;
  readonly store: StoreWithBlocking<Node>;
  readonly losses: string[] = [];
  readonly #setup: Setup;
  readonly #writers: AsyncGenerator<void>[] = [];
  #names = 0;
  #resting = true;

  constructor(setup: Setup) {
    this.#setup = setup;
    this.env = simulatedEnv(setup.seed);
    this.store = memory<Node>({ env: this.env });
    for (let at = 0; at < setup.nodes; at++) this.#write(this.#some(this.#keys(), 3));
    for (const root of ROOTS) this.store.blocking.set(root, this.#some(this.#keys(), 2));
    this.env.advanceSync(2 * GRACE_MS);
    for (let at = 0; at < 3; at++) this.#writers.push(this.#writer());
  }

  /** Sweeps among the writers, then once more when they have gone. */
  async run(): Promise<SweepResult> {
    this.#resting = false;
    const options = { olderThanMs: GRACE_MS, batchKeys: 3, concurrency: 2 };
    const roots = () => ROOTS;
    const done = await sweep(this.#interrupted(), roots, links, options);
    this.#resting = true;
    this.env.advanceSync(GRACE_MS + 1);
    this.#look();
    if (this.losses.length > 0) return done;
    await sweep(this.store, roots, links, options);
    this.#look();
    expect(new Set(this.#keys())).toEqual(this.#reach(ROOTS));
    return done;
  }

  /** The store as the sweep sees it: before each of its steps, writers take some of theirs. */
  #interrupted(): Store<Node> {
    const { blocking: _, feed, ...inner } = primitivesOf(this.store);
    const others = async (): Promise<void> => {
      for (let steps = this.#pick(3); steps > 0 && !this.#resting; steps--) await this.#step();
    };
    const { plant } = this.#setup;
    const sees = this.#setup.feed && plant !== 'feed' && feed !== undefined;
    const paged = async function* <T>(pages: () => AsyncIterable<T>): AsyncGenerator<T> {
      await others();
      for await (const page of pages()) {
        yield page;
        await others();
      }
    };
    const primitives: Primitives<Node> = {
      ...inner,
      capabilities: { ...inner.capabilities, blocking: false, feed: sees },
      readMany: async (keys, call) => {
        await others();
        return inner.readMany(keys, call);
      },
      scanKeys: (range, call) => paged(() => inner.scanKeys(range, call)),
      commit: async (writes, call) => {
        await others();
        const blind = writes.map(({ if: _, ...write }) => write);
        return inner.commit(plant === 'conditions' ? blind : writes, call);
      },
      ...(sees && {
        feed: {
          state: (call: Call) => feed.state(call),
          wait: (after, call) => feed.wait(after, call),
          epochOf: (rev) => feed.epochOf(rev),
          read: (after, call) => paged(() => feed.read(after, call)),
        },
      }),
    };
    return defineStore(primitives);
  }

  async #step(): Promise<void> {
    this.env.advanceSync(this.#pick(40));
    await this.#writers[this.#pick(this.#writers.length)]?.next();
    this.#look();
  }

  async *#writer(): AsyncGenerator<void> {
    for (;;) {
      if (this.#pick(3) === 0 && this.#setup.feed) this.#move();
      else yield* this.#publish();
      yield;
    }
  }

  /** Writes nodes, and at the end a root that reaches them, together with old ones. */
  async *#publish(): AsyncGenerator<void> {
    const root = ROOTS[this.#pick(ROOTS.length)] as string;
    const mine = new Map<string, number>();
    const known = this.#some(
      [...this.#reach(ROOTS)].filter((key) => !ROOTS.includes(key)),
      2,
    );
    const reach = this.#reach(ROOTS);
    const unreached = this.#some(
      this.#keys().filter((key) => !reach.has(key)),
      3,
    );
    yield;
    // What is found unreachable may point on to what is unreachable as well.
    const found = this.#setup.feed ? this.#reach(unreached) : this.#reach([...unreached, ...known]);
    for (const key of await touch(this.store, found)) mine.set(key, this.env.now());
    const usable = unreached.filter((key) => [...this.#reach([key])].every((one) => mine.has(one)));
    yield;
    const targets = [...known, ...usable];
    for (let left = this.#pick(3); left > 0; left--) {
      const key = this.#write(this.#some(targets, 3));
      mine.set(key, this.env.now());
      targets.push(key);
      yield;
    }
    const before = this.store.blocking.get(root) as Node;
    const kept = this.#some(before, 2);
    const added = this.#some(targets, 2);
    if (this.#allowed(added, mine)) this.store.blocking.set(root, [...kept, ...added]);
  }

  /** The rule: what becomes reachable is so already, or was written or touched by this writer just now. */
  #allowed(added: readonly string[], mine: ReadonlyMap<string, number>): boolean {
    const { feed } = this.#setup;
    const now = this.#reach(ROOTS);
    const isMine = (key: string): boolean =>
      this.env.now() - (mine.get(key) ?? Number.NEGATIVE_INFINITY) < GRACE_MS;
    const keys = [...this.#reach(added)];
    const allowed = keys.every((key) => isMine(key) || (feed && now.has(key)));
    if (allowed) for (const key of keys) if (!this.store.blocking.has(key)) this.losses.push(key);
    return allowed;
  }

  /** Moves a link from one reachable node to another, in one commit. */
  #move(): void {
    const holders = [...this.#reach(ROOTS)].filter(
      (key) => this.store.blocking.getEntry(key)?.immutable !== true,
    );
    const from = holders[this.#pick(holders.length)] as string;
    const to = holders[this.#pick(holders.length)] as string;
    const [link, ...rest] = this.store.blocking.get(from) ?? [];
    if (link === undefined || from === to) return;
    this.store.blocking.batch([
      { type: 'set', key: to, value: [...(this.store.blocking.get(to) ?? []), link] },
      { type: 'set', key: from, value: rest },
    ]);
  }

  /** Notes what is reachable and not there. */
  #look(): void {
    for (const key of this.#reach(ROOTS)) if (!this.store.blocking.has(key)) this.losses.push(key);
  }

  #write(node: Node): string {
    const key = `n${this.#names++}`;
    // Half of them never change under their key.
    this.store.blocking.set(key, node, { immutable: this.#names % 2 === 0 });
    return key;
  }

  #keys(): string[] {
    return [...this.store.blocking.keys()];
  }

  #reach(from: Iterable<string>): Set<string> {
    const seen = new Set(from);
    for (const key of seen) for (const link of this.store.blocking.get(key) ?? []) seen.add(link);
    return seen;
  }

  #some(of: readonly string[], most: number): string[] {
    return Array.from(
      { length: of.length === 0 ? 0 : this.#pick(most + 1) },
      () => of[this.#pick(of.length)] as string,
    );
  }

  #pick(below: number): number {
    return Math.floor(this.env.random() * below);
  }
}

const setups = (feed: boolean, plant: Plant = 'nothing'): fc.Arbitrary<Setup> =>
  fc.record({
    seed: fc.nat(),
    nodes: fc.integer({ min: 5, max: 40 }),
    feed: fc.constant(feed),
    plant: fc.constant(plant),
  });

/** All that runs of a kind did, and lost. */
async function tally(
  arbitrary: fc.Arbitrary<Setup>,
  runs: number,
): Promise<{ lost: number; swept: number; changed: number; tooYoung: number }> {
  const sum = { lost: 0, swept: 0, changed: 0, tooYoung: 0 };
  for (const setup of fc.sample(arbitrary, { numRuns: runs, seed: 7 })) {
    const world = new World(setup);
    const done = await world.run();
    sum.lost += world.losses.length;
    sum.swept += done.swept;
    sum.changed += done.changed;
    sum.tooYoung += done.tooYoung;
  }
  return sum;
}

describe('sweep among writers', () => {
  it.each([true, false])('never loses what is reachable (feed: %s)', async (feed) => {
    await fc.assert(
      fc.asyncProperty(setups(feed), async (setup) => {
        const world = new World(setup);
        await world.run();
        expect(world.losses).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('meets all that it is meant to meet', async () => {
    const done = await tally(setups(true), 100);
    expect(done.lost).toBe(0);
    for (const count of [done.swept, done.changed, done.tooYoung])
      expect(count).toBeGreaterThan(50);
  });

  it.each(['conditions', 'feed'] as const)('would lose something without %s', async (plant) => {
    expect((await tally(setups(true, plant), 300)).lost).toBeGreaterThan(0);
  });
});
