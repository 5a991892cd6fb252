/** A page as a subscriber of a real server: its memory, its IndexedDB, and one over the other. */
import { deleteDB } from 'idb';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { contents } from '../../test/support/sync-world.ts';
import { tiered } from '../compositions/tiered/index.ts';
import { indexeddb } from '../drivers/indexeddb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { isStrataError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import { type SubscribeOptions, type Subscription, subscribe, webSocket } from './index.ts';

const { url, control } = inject('syncServer');

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A prefix of one's own: the server is shared. */
const ownPrefix = (): string => `${crypto.randomUUID()}/`;

function open(
  local: Store<Uint8Array>,
  prefix: string,
  more: SubscribeOptions<Uint8Array> = {},
): Subscription<Uint8Array> {
  const options = { token: 'secret', prefix, reconnect: { baseMs: 5, capMs: 50 }, ...more };
  const subscription = subscribe(webSocket(url), local, options);
  opened.push(() => subscription.close());
  return subscription;
}

function database(): { readonly name: string; open(): Store<Uint8Array> } {
  const name = `sync-${crypto.randomUUID()}`;
  opened.push(() => deleteDB(name));
  return {
    name,
    open: () => {
      const store = indexeddb<Uint8Array>({ name });
      opened.push(() => store.close());
      return store;
    },
  };
}

const cut = (): Promise<unknown> => fetch(`${control}/cut`);

/** Someone else's page. */
async function writer(prefix: string): Promise<Store<Uint8Array>> {
  const subscription = open(memory<Uint8Array>(), prefix);
  await subscription.ready;
  return subscription.remote;
}

/** A write that meets the cut may have been applied or not: it is then made again. */
async function insist(write: () => Promise<unknown>): Promise<void> {
  await write().catch((error: unknown) => {
    if (!isStrataError(error, 'unknown-outcome')) throw error;
    return insist(write);
  });
}

describe('a page', () => {
  it('holds a live copy, and writes to the source', async () => {
    const prefix = ownPrefix();
    const [here, there] = [memory<Uint8Array>(), memory<Uint8Array>()];
    const [one, other] = [open(here, prefix), open(there, prefix)];
    await Promise.all([one.ready, other.ready]);
    const heard: string[] = [];
    other.onChange(prefix, ({ key, value }) => void heard.push(`${key} ${words(value)}`));
    await one.remote.set(`${prefix}é`, bytes('written'));
    expect(words(await here.get(`${prefix}é`))).toBe('written');
    await expect.poll(() => heard).toEqual([`${prefix}é written`]);
    await other.remote.delete(`${prefix}é`);
    await expect.poll(() => here.has(`${prefix}é`)).toBe(false);
  });

  it('keeps its copy in IndexedDB, and resumes after a cut and after a reload', async () => {
    const prefix = ownPrefix();
    const remote = await writer(prefix);
    await remote.setMany(Array.from({ length: 500 }, (_, i) => [`${prefix}${i}`, bytes(`${i}`)]));
    const { open: openDatabase } = database();
    const local = openDatabase();
    const subscription = open(local, prefix);
    await subscription.ready;
    expect(Object.keys(await contents(local))).toHaveLength(500);
    await cut();
    await insist(() => remote.set(`${prefix}1`, bytes('changed')));
    await insist(() => remote.delete(`${prefix}2`));
    await expect.poll(async () => words(await local.get(`${prefix}1`))).toBe('changed');
    await expect.poll(() => local.has(`${prefix}2`)).toBe(false);
    expect(subscription.status()).toMatchObject({ snapshots: 1, resumes: 1 });
    await subscription.close();
    await local.close();
    await remote.set(`${prefix}3`, bytes('while away'));
    const again = openDatabase();
    const returned = open(again, prefix);
    await returned.ready;
    expect(words(await again.get(`${prefix}3`))).toBe('while away');
    expect(returned.status()).toMatchObject({ snapshots: 0, resumes: 1 });
    expect(returned.status().receivedBytes).toBeLessThan(1_000);
  });

  it('shares one database with another tab: memory over IndexedDB is never left behind', async () => {
    const prefix = ownPrefix();
    const remote = await writer(prefix);
    await remote.set(`${prefix}n`, bytes('0'));
    const { open: openDatabase } = database();
    const tabs = [0, 1].map(() => {
      const store = tiered({ front: memory<Uint8Array>(), back: openDatabase() });
      return { store, subscription: open(store, prefix) };
    });
    await Promise.all(tabs.map(({ subscription }) => subscription.ready));
    for (let n = 1; n <= 20; n++) {
      // Both have the value in their memory before it changes.
      for (const { store } of tabs) await store.get(`${prefix}n`);
      await remote.set(`${prefix}n`, bytes(`${n}`));
      for (const { store, subscription } of tabs) {
        const { rev = 0 } = (await remote.getEntry(`${prefix}n`)) ?? {};
        await expect
          .poll(() => subscription.status().rev, { interval: 2 })
          .toBeGreaterThanOrEqual(rev);
        expect(words(await store.get(`${prefix}n`))).toBe(`${n}`);
      }
    }
  });

  it('is told when its token is wrong', async () => {
    const errors: unknown[] = [];
    const subscription = open(memory<Uint8Array>(), ownPrefix(), {
      token: 'wrong',
      onError: (error) => errors.push((error as { code?: string }).code),
    });
    await expect(subscription.ready).rejects.toMatchObject({ code: 'denied' });
    expect(errors).toEqual(['denied']);
  });
});
