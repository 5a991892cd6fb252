/** A store that loses everything while it is open, as a server does that restarts empty. */
import { memory } from '../../src/drivers/memory/index.ts';
import { defineStore } from '../../src/store/define-store.ts';
import type { Env } from '../../src/store/env.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Primitives } from '../../src/store/primitives.ts';
import type { Store } from '../../src/store/store.ts';

/** A store in the place of which an empty one can be put. */
export function losable<V>(env?: Env): { readonly store: Store<V>; lose(): void } {
  const made = (): Primitives<V> => primitivesOf(memory<V>(env && { env }));
  let now = made();
  const { shape, capabilities, feed } = now;
  if (feed === undefined) throw new Error('a store without a feed');
  const store = defineStore<V>({
    shape,
    capabilities,
    env: now.env,
    readOne: (key, call) => now.readOne(key, call),
    readMany: (keys, call) => now.readMany(keys, call),
    scan: (range, call) => now.scan(range, call),
    scanKeys: (range, call) => now.scanKeys(range, call),
    commit: (writes, call) => now.commit(writes, call),
    feed: {
      state: (call) => (now.feed ?? feed).state(call),
      read: (after, call) => (now.feed ?? feed).read(after, call),
      wait: (after, call) => (now.feed ?? feed).wait(after, call),
      epochOf: (rev) => (now.feed ?? feed).epochOf(rev),
    },
    close: () => now.close(),
  });
  return {
    store,
    lose: () => {
      now = made();
    },
  };
}
