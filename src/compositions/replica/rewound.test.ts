/** A first store that loses its data while the replica is open, as a server does that restarts empty. */
import { expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { defineStore } from '../../store/define-store.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { replica } from './index.ts';

const env = simulatedEnv();

/** A store in the place of which an empty one can be put. */
function losable(): { readonly store: Store<string>; lose(): void } {
  const made = (): Primitives<string> => primitivesOf(memory<string>({ env }));
  let now = made();
  const { shape, capabilities, feed } = now;
  if (feed === undefined) throw new Error('a store without a feed');
  const store = defineStore<string>({
    shape,
    capabilities,
    env,
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

test('gets everything back, and counts from its new revisions on', async () => {
  const first = losable();
  const plan = new FaultPlan();
  const member = memory<string>({ env });
  const store = replica({ sync: [first.store, faulty(member, plan)] });
  for (let n = 0; n < 50; n++) await store.set(`k${n % 10}`, String(n));
  await env.advance(2_000);
  first.lose();
  const lost = store.set('lost', 'before it is noticed');
  await env.advance(2_000);
  await lost;
  expect(store.status().members[0]).toMatchObject({ state: 'live' });
  expect(await store.get('k3')).toBe('43');
  expect(await member.get('lost')).toBe('before it is noticed');
  // A revision that was used before the loss is none that the member has.
  plan.delay('commit', 100);
  let isDone = false;
  const writing = store.set('k3', 'new').then(() => {
    isDone = true;
  });
  await env.advance(50);
  expect([isDone, await member.get('k3')]).toEqual([false, '43']);
  await env.advance(200);
  await writing;
  expect(await member.get('k3')).toBe('new');
  plan.heal();
  await store.close();
});
