import { memory } from '../../src/drivers/memory/index.ts';
import type { StoreWithBlocking } from '../../src/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import type { Walker } from '../../src/walk/index.ts';

/** The keys that a node points to. */
export type Node = readonly string[];

export const links: Walker<Node> = (_, value) => value;
export const HOUR_MS = 3_600_000;

/** A store of nodes, all of them two hours old. */
export async function graph(
  nodes: Readonly<Record<string, Node>>,
): Promise<{ env: SimulatedEnv; store: StoreWithBlocking<Node> }> {
  const env = simulatedEnv();
  const store = memory<Node>({ env });
  for (const [key, node] of Object.entries(nodes)) store.blocking.set(key, node);
  await env.advance(2 * HOUR_MS);
  return { env, store };
}

export const keysOf = (store: StoreWithBlocking<Node>): string[] => [...store.blocking.keys()];
/** What the root reaches, and what it does not. */
export const torn: Readonly<Record<string, Node>> = {
  root: ['a', 'b'],
  a: ['c'],
  b: [],
  c: [],
  x: ['y', 'c'],
  y: [],
  z: ['root'],
};
