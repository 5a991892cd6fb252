/** Walks over random graphs, held against the plainest reference. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { defineStore, primitivesOf, type Store } from '../store/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { type Walker, type WalkOptions, walk } from './index.ts';

type Node = readonly string[];
type Graph = Readonly<Record<string, Node>>;

const links: Walker<Node> = (_, value) => value;
const KEYS = 24;
const key = fc.nat(KEYS - 1).map((at) => `n${at}`);
const graphs: fc.Arbitrary<Graph> = fc
  .array(fc.array(key, { maxLength: 5 }), { minLength: KEYS, maxLength: KEYS })
  .map((nodes) => Object.fromEntries(nodes.map((node, at) => [`n${at}`, node])));
/** Every link leads to a later node. */
const acyclic = graphs.map((graph) =>
  Object.fromEntries(
    Object.entries(graph).map(([from, node]) => [
      from,
      node.filter((to) => Number(to.slice(1)) > Number(from.slice(1))),
    ]),
  ),
);
const roots = fc.array(key, { maxLength: 4 });
const bounds = fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  batchKeys: fc.integer({ min: 1, max: 4 }),
});

/** A store whose answers come after a random number of turns. */
function tardy(graph: Graph, turns: () => number): Store<Node> {
  const inner = memory<Node>({ env: simulatedEnv() });
  for (const [from, node] of Object.entries(graph)) inner.blocking.set(from, node);
  const { blocking: _, ...primitives } = primitivesOf(inner);
  return defineStore<Node>({
    ...primitives,
    capabilities: { ...primitives.capabilities, blocking: false },
    readMany: async (keys, call) => {
      for (let left = turns(); left > 0; left--) await undefined;
      return primitives.readMany(keys, call);
    },
  });
}

function nearestFirst(graph: Graph, from: readonly string[]): string[] {
  const seen = new Set(from);
  for (const at of seen) for (const to of graph[at] as Node) seen.add(to);
  return [...seen];
}

async function walked(
  store: Store<Node>,
  from: readonly string[],
  options: WalkOptions<Node>,
): Promise<string[]> {
  const entries = await Array.fromAsync(walk(store, from, links, options));
  return entries.map((entry) => entry.key);
}

const turnsOf = (seed: number): (() => number) => {
  const env = simulatedEnv(seed);
  return () => Math.floor(env.random() * 20);
};

describe('walk over random graphs', () => {
  it('gives exactly what is reachable, nearest first, however late answers come', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, roots, bounds, fc.nat(), async (graph, from, options, seed) => {
        const store = tardy(graph, turnsOf(seed));
        expect(await walked(store, from, options)).toEqual(nearestFirst(graph, from));
      }),
    );
  });

  it('gives dependencies first, and roots last, in an order of the graph alone', async () => {
    await fc.assert(
      fc.asyncProperty(acyclic, roots, bounds, fc.nat(), async (graph, from, options, seed) => {
        const store = tardy(graph, turnsOf(seed));
        const given = await walked(store, from, { ...options, order: 'roots-last' });
        expect(given.toSorted()).toEqual(nearestFirst(graph, from).toSorted());
        const place = new Map(given.map((one, at) => [one, at]));
        for (const one of given)
          for (const to of graph[one] as Node)
            expect(place.get(to)).toBeLessThan(place.get(one) as number);
        // What nothing but roots depends on comes after everything else.
        const needed = new Set(
          given
            .filter((one) => !from.includes(one))
            .flatMap((one) => nearestFirst(graph, graph[one] as Node)),
        );
        const last = given.findIndex((one) => from.includes(one) && !needed.has(one));
        if (last >= 0) for (const one of given.slice(last)) expect(from).toContain(one);
        const plain = { concurrency: 1, batchKeys: 100, order: 'roots-last' } as const;
        expect(await walked(store, from, plain)).toEqual(given);
      }),
    );
  });

  it('ends on any graph, with every key once, dependencies first or not', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, roots, bounds, async (graph, from, options) => {
        const given = await walked(
          tardy(graph, () => 0),
          from,
          { ...options, order: 'roots-last' },
        );
        expect(given.toSorted()).toEqual(nearestFirst(graph, from).toSorted());
      }),
    );
  });

  it('follows a path far deeper than what it holds', async () => {
    const LENGTH = 3_000;
    const chain = Object.fromEntries(
      Array.from({ length: LENGTH }, (_, at): [string, Node] => [
        `c${at}`,
        at + 1 < LENGTH ? [`c${at + 1}`, `leaf${at}`] : [],
      ]),
    );
    const leaves = Object.fromEntries(
      Array.from({ length: LENGTH - 1 }, (_, at): [string, Node] => [`leaf${at}`, []]),
    );
    let read = 0;
    const store = memory<Node>({ env: simulatedEnv() });
    for (const [from, node] of Object.entries({ ...chain, ...leaves }))
      store.blocking.set(from, node);
    const counting: Walker<Node> = (_, value) => {
      read++;
      return value;
    };
    const given = await Array.fromAsync(
      walk(store, ['c0'], counting, { order: 'roots-last', concurrency: 2, batchKeys: 8 }),
    );
    expect(given).toHaveLength(2 * LENGTH - 1);
    expect(given.at(-1)?.key).toBe('c0');
    expect(given[0]?.key).toBe(`c${LENGTH - 1}`);
    // Entries let go of on the way down are read once more on the way up.
    expect(read).toBeLessThan(3 * given.length);
  });

  it('holds no more of a path than it may: the rest is read again on the way back', async () => {
    const LENGTH = 1_000;
    const store = memory<Node>({ env: simulatedEnv() });
    for (let at = 0; at < LENGTH; at++)
      store.blocking.set(`c${at}`, at + 1 < LENGTH ? [`c${at + 1}`] : []);
    let shown = 0;
    const counting: Walker<Node> = (_, value) => {
      shown++;
      return value;
    };
    const options = { order: 'roots-last', concurrency: 2, batchKeys: 8 } as const;
    const given = await Array.fromAsync(walk(store, ['c0'], counting, options));
    expect(given.map((entry) => entry.key)).toEqual(
      Array.from({ length: LENGTH }, (_, at) => `c${LENGTH - 1 - at}`),
    );
    expect(shown).toBe(2 * LENGTH - 2 * 8);
  });
});
