/** A subscriber whose store is read from a memory in front of it alone, which after a restart is empty. */
import { expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { tiered } from '../compositions/tiered/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, type SubscribeOptions, subscribe } from './index.ts';

/** A subscriber that begins with an empty front over a back that lives on. */
function world() {
  const env = simulatedEnv(5);
  const store = memory<Uint8Array>({ env });
  const back = memory<Uint8Array>({ env });
  const line = new Line(publish(store));
  const start = async (more: SubscribeOptions<Uint8Array> = {}, to = line) => {
    // Lives on when the store over it is closed.
    const lasting = { ...primitivesOf(back), close: async () => undefined };
    const local: Store<Uint8Array> = tiered({
      front: memory<Uint8Array>({ env }),
      back: defineStore(lasting),
      read: 'front-only',
    });
    const subscription = subscribe(to, local, more);
    await env.advance(10);
    await subscription.ready;
    return {
      subscription,
      end: async () => {
        await subscription.close();
        await local.close();
      },
    };
  };
  return { env, store, back, line, start };
}

it('resumes from the cursor that the back has', async () => {
  const { store, back, start } = world();
  await store.set('a', bytes('1'));
  await (await start()).end();
  await store.set('b', bytes('2'));
  const { subscription, end } = await start();
  expect(subscription.status()).toMatchObject({ resumes: 1, snapshots: 0 });
  expect(await contents(back)).toEqual({ a: '1', b: '2' });
  await end();
});

it('removes from the back what was deleted at the source, though the front never had it', async () => {
  const { env, store, back, start } = world();
  await store.set('a', bytes('1'));
  await store.set('b', bytes('2'));
  await (await start()).end();
  const { end } = await start();
  await store.delete('a');
  await env.advance(10);
  expect(await contents(back)).toEqual({ b: '2' });
  await end();
});

it('removes from the back what a snapshot does not name, though the front never had it', async () => {
  const { store, back, start } = world();
  await store.set('a', bytes('1'));
  await store.set('b', bytes('2'));
  await (await start()).end();
  await store.delete('a');
  const other = new Line(publish(store, { filter: () => true }));
  const { subscription, end } = await start({}, other);
  expect(subscription.status()).toMatchObject({ snapshots: 1 });
  expect(await contents(back)).toEqual({ b: '2' });
  await end();
});
