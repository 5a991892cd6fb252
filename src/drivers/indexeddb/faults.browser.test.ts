import { openDB } from 'idb';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cdp } from 'vitest/browser';
import type { Store } from '../../store/store.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type IndexedDbOptions, indexeddb } from './index.ts';

/** The browser's own tools, by its debugging protocol. */
const browser = cdp() as unknown as {
  send(method: string, options: object): Promise<unknown>;
};
const { origin } = location;

const stores: Store<unknown>[] = [];

function open<V = unknown>(name: string, options?: Omit<IndexedDbOptions<V>, 'name'>): Store<V> {
  const store = indexeddb<V>({ name, ...options });
  stores.push(store as Store<unknown>);
  return store;
}

const fresh = (): string => `faults-${crypto.randomUUID()}`;

/** Calls `meet` with each writing transaction right before it is to complete. */
function meetCommits(meet: (tx: IDBTransaction, commit: () => void) => void): void {
  const { commit } = IDBTransaction.prototype;
  vi.spyOn(IDBTransaction.prototype, 'commit').mockImplementation(function (this: IDBTransaction) {
    meet(this, () => commit.call(this));
  });
}

/** The next transaction is stored, but its page hears that it fell. */
function loseAnswers(times: number): void {
  let left = times;
  meetCommits((tx, commit) => {
    commit();
    if (left-- <= 0) return;
    const { db } = tx;
    db.addEventListener(
      'complete',
      (event) => {
        if (event.target !== tx) return;
        event.stopImmediatePropagation();
        db.close();
        tx.dispatchEvent(new Event('abort'));
      },
      { capture: true },
    );
  });
}

afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const store of stores.splice(0)) await store.close();
});

describe('a full disk', () => {
  /** Incompressible, so that it counts. */
  const large = (): Uint8Array => {
    const bytes = new Uint8Array(1_000_000);
    for (let at = 0; at < bytes.length; at += 65_536)
      crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    return bytes;
  };

  it('fails with no-space, undoes the whole commit, and goes on', async () => {
    const store = open<Uint8Array>(fresh());
    await store.get('open');
    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 4_000_000 });
    try {
      // The browser remembers for a while how much there was; it forgets with the data.
      await browser.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
      await store.set('kept', new Uint8Array(10));
      const cursor = await store.cursor();
      const pairs = Array.from({ length: 8 }, (_, n) => [`large${n}`, large()] as const);
      const refused = await store.setMany([['kept', new Uint8Array(0)], ...pairs]).catch((e) => e);
      expect(refused).toMatchObject({ code: 'no-space', operation: 'setMany', retryable: false });
      expect(await Array.fromAsync(store.keys())).toEqual(['kept']);
      expect(await store.get('kept')).toHaveLength(10);
      expect(await store.cursor()).toBe(cursor);
      // The browser frees what was undone a moment later; smaller writes go on then.
      await vi.waitFor(() => store.set('small', new Uint8Array(1)), { timeout: 5_000 });
      expect(await Array.fromAsync(store.keys())).toEqual(['kept', 'small']);
    } finally {
      await browser.send('Storage.overrideQuotaForOrigin', { origin });
    }
    await store.set('large', large());
    expect(await store.get('large')).toHaveLength(1_000_000);
  });
});

describe('a lost connection', () => {
  it('is opened anew; what the browser deleted with it comes back empty, in a new epoch', async () => {
    const databaseName = fresh();
    // Nothing but the event tells the watch: no timer ever runs.
    const store = open<number>(databaseName, { env: simulatedEnv() });
    await store.set('a', 1);
    const before = await store.cursor();
    const failure = store
      .watch({ after: before })
      [Symbol.asyncIterator]()
      .next()
      .catch((error) => error);
    await store.get('a');
    await browser.send('IndexedDB.deleteDatabase', { securityOrigin: origin, databaseName });
    expect(await failure).toMatchObject({ code: 'cursor-expired' });
    expect(await store.get('a')).toBeUndefined();
    await store.set('b', 2);
    expect(await store.cursor()).toMatch(/\.1\./);
    expect((await store.cursor()).split('.')[0]).not.toBe(before.split('.')[0]);
  });

  it('keeps every acknowledged write when it is lost among writes', async () => {
    const store = open<number>(fresh());
    const { transaction } = IDBDatabase.prototype;
    let opened = 0;
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (
      this: IDBDatabase,
      ...args
    ) {
      const tx = transaction.apply(this, args);
      // As if the browser had closed it: the one under way ends well, the next cannot be made.
      if (++opened % 4 === 0) this.close();
      return tx;
    });
    for (let n = 0; n < 12; n++) {
      const { rev } = await store.set('a', n);
      expect(rev).toBe(n + 1);
      expect(await store.get('a')).toBe(n);
    }
  });

  it('looks up what became of a commit whose answer is lost, and does not repeat it', async () => {
    const store = open<number>(fresh());
    await store.set('count', 1);
    loseAnswers(1);
    const result = await store.update('count', (n) => (n ?? 0) + 1);
    expect(result).toMatchObject({ rev: 2, value: 2 });
    expect(await store.getEntry('count')).toMatchObject({ rev: 2, value: 2 });
    expect(await store.cursor()).toMatch(/\.2\./);
  });

  it('tries a commit once more that was undone with its connection', async () => {
    const store = open<number>(fresh());
    await store.set('a', 1);
    let falls = 1;
    meetCommits((tx, commit) => {
      if (falls-- > 0) tx.abort();
      else commit();
    });
    expect(await store.set('a', 2)).toMatchObject({ rev: 2 });
    falls = 5;
    expect(await store.set('a', 3).catch((error) => error)).toMatchObject({ code: 'unavailable' });
    falls = 0;
    expect(await store.get('a')).toBe(2);
    expect(await store.set('a', 4)).toMatchObject({ rev: 3 });
  });

  it('says unknown-outcome where it cannot find out', async () => {
    const store = open<number>(fresh());
    await store.set('a', 1);
    loseAnswers(1);
    vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(() => {
      throw new DOMException('away', 'UnknownError');
    });
    const failure = await store.set('a', 2).catch((error) => error);
    expect(failure).toMatchObject({ code: 'unknown-outcome', operation: 'set', retryable: false });
    vi.restoreAllMocks();
    expect(await store.get('a')).toBe(2);
  });
});

describe('a damaged database', () => {
  it('is corrupt when it no longer knows its state', async () => {
    const name = fresh();
    const first = open(name);
    await first.set('a', 1);
    const raw = await openDB(name);
    await raw.delete('meta', 'state');
    raw.close();
    for (const store of [first, open(name)])
      expect(await store.set('a', 2).catch((error) => error)).toMatchObject({ code: 'corrupt' });
  });
});

describe('a browser that allows nothing', () => {
  it('is denied', async () => {
    vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(() => {
      throw new DOMException('not here', 'SecurityError');
    });
    const store = open(fresh());
    expect(await store.get('a').catch((error) => error)).toMatchObject({ code: 'denied' });
  });

  it('is unsupported without IndexedDB', async () => {
    vi.stubGlobal('indexedDB', undefined);
    const store = open(fresh());
    expect(await store.get('a').catch((error) => error)).toMatchObject({ code: 'unsupported' });
  });
});
