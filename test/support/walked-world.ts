/** A store of pages that point to each other, what its roots reach, and copies of that. */
import { memory } from '../../src/drivers/memory/index.ts';
import { type Codec, json } from '../../src/store/codec.ts';
import { fromCursor } from '../../src/store/feed/cursor.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import { recordKey } from '../../src/sync/cursor-record.ts';
import { type Publication, type PublishOptions, publish } from '../../src/sync/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import type { Walker } from '../../src/walk/index.ts';

export interface Page {
  readonly links: readonly string[];
  readonly n: number;
}

export const codec: Codec<Page> = json<Page>();
export const walker: Walker<Page> = (_, page) => page.links;

export const page = (n: number, ...links: string[]): Page => ({ n, links });

export interface WalkedWorld {
  readonly world: SimulatedEnv;
  readonly store: Store<Page>;
  readonly local: StoreWithBlocking<Page>;
}

export function walkedWorld(seed = 1): WalkedWorld {
  const world = simulatedEnv(seed);
  return {
    world,
    store: memory<Page>({ env: world, logBytes: 4_000, tombstoneBytes: 2_000 }),
    local: memory<Page>({ env: world }),
  };
}

export function walked(
  store: Store<Page>,
  roots: Iterable<string> | (() => Iterable<string>) = ['head'],
  options: PublishOptions<Page> = {},
): Publication {
  return publish(store, { codec, walk: { roots, walker }, scope: 'pages', ...options });
}

/** The contents by key, of texts as short as they can be. */
export async function pages(store: Store<Page>): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const { key, value } of store.list()) found[key] = value.n;
  return found;
}

/** What the roots reach in a state, and what they point to that is not there. */
export function reachable(
  state: ReadonlyMap<string, Page>,
  roots: readonly string[],
): { readonly found: Record<string, number>; readonly missing: string[] } {
  const found: Record<string, number> = {};
  const missing: string[] = [];
  const seen = new Set<string>();
  const visit = (key: string, isRoot: boolean): void => {
    if (seen.has(key)) return;
    seen.add(key);
    const value = state.get(key);
    if (value === undefined) {
      if (!isRoot) missing.push(key);
      return;
    }
    found[key] = value.n;
    for (const link of value.links) visit(link, false);
  };
  for (const root of roots) visit(root, true);
  return { found, missing };
}

export async function stateOf(store: Store<Page>): Promise<Map<string, Page>> {
  const state = new Map<string, Page>();
  for await (const { key, value } of store.list()) state.set(key, value);
  return state;
}

/** Where a copy stands, by its own record, at this very moment. */
export function revOf(local: StoreWithBlocking<Page>): number {
  const stored = primitivesOf(local).blocking?.readOne(recordKey(''));
  const record = stored && JSON.parse(String(stored.value));
  return record === undefined ? 0 : fromCursor('test', record.cursor).rev;
}
