/** Groups too large to be held: staged in IndexedDB, visible at once, whatever happens between. */
import { deleteDB } from 'idb';
import { afterEach, describe, expect, it } from 'vitest';
import { cdp } from 'vitest/browser';
import { bytes, words } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { indexeddb } from '../drivers/indexeddb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { publish, type SubscribeOptions, type Subscription, subscribe } from './index.ts';

/** The browser's own tools, by its debugging protocol. */
const browser = cdp() as unknown as {
  send(method: string, options: object): Promise<unknown>;
};

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const KEYS = 500;
const STAGED = '\u0000sync-stage/';

function database(): () => Store<Uint8Array> {
  const name = `staged-${crypto.randomUUID()}`;
  opened.push(() => deleteDB(name));
  return () => {
    const store = indexeddb<Uint8Array>({ name });
    opened.push(() => store.close());
    return store;
  };
}

/** Parts of 50 keys; a group of more than 100 is staged. */
function world() {
  const store = memory<Uint8Array>();
  const line = new Line(publish(store, { limits: { batchKeys: 50 } }));
  const open = (
    local: Store<Uint8Array>,
    more: SubscribeOptions<Uint8Array> = {},
  ): Subscription<Uint8Array> => {
    const subscription = subscribe(line, local, {
      limits: { stageKeys: 100 },
      reconnect: { baseMs: 1, capMs: 10 },
      ...more,
    });
    opened.push(() => subscription.close());
    return subscription;
  };
  return { store, line, open };
}

const write = (store: Store<Uint8Array>, text: string, count = KEYS): Promise<unknown> =>
  store.setMany(Array.from({ length: count }, (_, i) => [`key:${i}`, bytes(`${text} ${i}`)]));

async function stagedIn(local: Store<Uint8Array>): Promise<string[]> {
  const primitives = primitivesOf(local);
  const keys: string[] = [];
  const call = { operation: 'test', throwIfEnded: () => undefined } as never;
  const range = {
    lower: { key: STAGED, inclusive: true },
    upper: { key: `${STAGED}\u{10ffff}`, inclusive: false },
    reverse: false,
    limit: 1_000_000,
  };
  for await (const page of primitives.scanKeys(range, call)) keys.push(...page);
  return keys;
}

async function agree(local: Store<Uint8Array>, store: Store<Uint8Array>): Promise<void> {
  await expect
    .poll(async () => JSON.stringify(await contents(local)), { timeout: 10_000 })
    .toBe(JSON.stringify(await contents(store)));
}

describe('a group that is staged', () => {
  it('becomes visible at once, is told whole, and leaves nothing behind', async () => {
    const { store, open } = world();
    await write(store, 'one');
    const local = database()();
    const heard = new Map<string, string | undefined>();
    const subscription = open(local, {
      onChange: ({ key, value }) => void heard.set(key, words(value)),
    });
    await subscription.ready;
    expect(await contents(local)).toEqual(await contents(store));
    expect(Object.fromEntries(heard)).toEqual(await contents(store));
    await expect.poll(() => stagedIn(local)).toEqual([]);
    const sizes = new Set<number>();
    const end = new AbortController();
    const watching = (async () => {
      for await (const { writes } of local.watch({ signal: end.signal })) sizes.add(writes.length);
    })().catch(() => undefined);
    heard.clear();
    await store.batch([
      ...Array.from({ length: KEYS / 2 }, (_, i) => ({
        type: 'set' as const,
        key: `key:${i}`,
        value: bytes(`two ${i}`),
      })),
      ...Array.from({ length: 20 }, (_, i) => ({
        type: 'delete' as const,
        key: `key:${KEYS - 1 - i}`,
      })),
    ]);
    await agree(local, store);
    await expect.poll(() => heard.size).toBe(KEYS / 2 + 20);
    expect(heard.get(`key:${KEYS - 1}`)).toBeUndefined();
    expect(heard.get('key:0')).toBe('two 0');
    end.abort();
    await watching;
    // A reader of the feed sees one commit with everything in it, or nothing of it.
    expect([...sizes].filter((size) => size > 1)).toEqual([KEYS / 2 + 20]);
  });

  it('shows the old state until it is whole, and begins anew after a cut', async () => {
    const { store, line, open } = world();
    await write(store, 'one');
    const local = database()();
    const subscription = open(local);
    await subscription.ready;
    line.hold();
    await write(store, 'two');
    await expect.poll(() => line.waiting).toBeGreaterThan(4);
    line.release(line.waiting - 1);
    await expect.poll(async () => (await stagedIn(local)).length).toBeGreaterThan(2);
    expect(new Set(Object.values(await contents(local)).map((text) => text.slice(0, 3)))).toEqual(
      new Set(['one']),
    );
    line.cut();
    line.release();
    await agree(local, store);
    await expect.poll(() => stagedIn(local)).toEqual([]);
  });

  it('is removed by the next subscription where the first has died', async () => {
    const { store, line, open } = world();
    await write(store, 'one');
    const openDatabase = database();
    const first = openDatabase();
    line.hold();
    const dying = open(first);
    dying.ready.catch(() => undefined);
    await expect.poll(() => line.waiting).toBeGreaterThan(4);
    line.release(5);
    await expect.poll(async () => (await stagedIn(first)).length).toBeGreaterThan(2);
    await dying.close();
    await first.close();
    line.release();
    const second = openDatabase();
    expect(await contents(second)).toEqual({});
    const subscription = open(second);
    await subscription.ready;
    expect(await contents(second)).toEqual(await contents(store));
    await expect.poll(() => stagedIn(second)).toEqual([]);
  });

  it('replaces a copy: what a snapshot does not name goes, what is the same stays', async () => {
    const { store, open } = world();
    await write(store, 'one');
    const local = database()();
    const first = open(local, { prefix: 'key:' });
    await first.ready;
    await first.close();
    await local.set('own', bytes('own'));
    const before = await local.getEntry('key:7');
    await store.delete('key:5');
    await store.set('key:6', bytes('changed'));
    const heard: string[] = [];
    const other = publish(store, { filter: () => true, limits: { batchKeys: 50 } });
    const again = subscribe(new Line(other), local, {
      prefix: 'key:',
      limits: { stageKeys: 100 },
      onChange: ({ key, deleted }) => void heard.push(`${key}${deleted ? ' deleted' : ''}`),
    });
    opened.push(() => again.close());
    await again.ready;
    expect(await contents(local)).toEqual({ ...(await contents(store)), own: 'own' });
    expect(await local.getEntry('key:7')).toEqual(before);
    expect(heard.sort()).toEqual(['key:5 deleted', 'key:6']);
  });

  it('waits while the quota is used up, acknowledges nothing, and goes on when there is room', async () => {
    const { origin } = location;
    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 4_000_000 });
    try {
      // The browser remembers for a while how much there was; it forgets with the data.
      await browser.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
      const store = memory<Uint8Array>();
      await store.setMany(
        Array.from({ length: 300 }, (_, i) => [
          `key:${i}`,
          crypto.getRandomValues(new Uint8Array(30_000)),
        ]),
      );
      const publication = publish(store, { limits: { batchKeys: 20 } });
      const local = database()();
      const codes: unknown[] = [];
      const subscription = subscribe(new Line(publication), local, {
        limits: { stageKeys: 100 },
        onError: (error) => codes.push((error as { code?: string }).code),
      });
      opened.push(() => subscription.close());
      subscription.ready.catch(() => undefined);
      await expect.poll(() => codes, { timeout: 10_000 }).toContain('no-space');
      expect(subscription.status()).toMatchObject({ state: 'stalled', rev: 0 });
      await expect
        .poll(() => publication.stats().subscribers)
        .toMatchObject([{ rev: 0, trouble: 'no-space' }]);
      expect(await Array.fromAsync(local.keys())).toEqual([]);
      await browser.send('Storage.overrideQuotaForOrigin', { origin });
      await expect.poll(() => subscription.status().state, { timeout: 15_000 }).toBe('live');
      expect(await Array.fromAsync(local.keys())).toHaveLength(300);
      expect(publication.stats().subscribers[0]).not.toHaveProperty('trouble');
    } finally {
      await browser.send('Storage.overrideQuotaForOrigin', { origin });
    }
  });
});
