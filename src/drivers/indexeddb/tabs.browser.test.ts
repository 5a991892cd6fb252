import { deleteDB, openDB } from 'idb';
import { afterEach, describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Commit } from '../../store/entry.ts';
import { isStrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { type IndexedDbOptions, indexeddb } from './index.ts';

/** Another thread with a store of its own, as another tab has it; it can be ended like one. */
class Tab {
  readonly #worker: Worker;
  #calls = 0;

  constructor(options: IndexedDbOptions) {
    const source = `
      const { indexeddb } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
      const store = indexeddb(${JSON.stringify(options)});
      onmessage = async ({ data: { call, source, args } }) => {
        try {
          const result = await (0, eval)('(' + source + ')')(store, ...args);
          postMessage({ call, result });
        } catch (error) {
          postMessage({ call, error: String(error) });
        }
      };
      postMessage('ready');`;
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    this.#worker = new Worker(url, { type: 'module' });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.addEventListener('message', () => resolve(), { once: true });
      this.#worker.addEventListener('error', () => reject(new Error('the tab did not start')));
    });
  }

  readonly ready: Promise<void>;

  /** Runs a function that stands for itself in the tab. */
  async run<A extends readonly unknown[], R>(
    work: (store: Store<number>, ...args: A) => Promise<R>,
    ...args: A
  ): Promise<R> {
    await this.ready;
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      const hear = ({ data }: MessageEvent): void => {
        if (data.call !== call) return;
        this.#worker.removeEventListener('message', hear);
        if (data.error === undefined) resolve(data.result);
        else reject(new Error(data.error));
      };
      this.#worker.addEventListener('message', hear);
      this.#worker.postMessage({ call, source: work.toString(), args });
    });
  }

  end(): void {
    this.#worker.terminate();
  }
}

const stores: Store<never>[] = [];
const tabs: Tab[] = [];

function open(name: string, options?: Omit<IndexedDbOptions<number>, 'name'>): Store<number> {
  const store = indexeddb<number>({ name, ...options });
  stores.push(store as Store<never>);
  return store;
}

function openTab(name: string, options?: Omit<IndexedDbOptions, 'name'>): Tab {
  const tab = new Tab({ name, ...options });
  tabs.push(tab);
  return tab;
}

const fresh = (): string => `tabs-${crypto.randomUUID()}`;

async function next(steps: AsyncIterator<Commit<number>>): Promise<Commit<number>> {
  const { value, done } = await steps.next();
  if (done === true) throw new Error('the watch ended');
  return value;
}

const background = (): Call => Call.background(systemEnv, 'watch');

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error,
  );

afterEach(async () => {
  for (const tab of tabs.splice(0)) tab.end();
  for (const store of stores.splice(0)) await store.close();
});

describe('two tabs', () => {
  it('see what the other writes, in its order', async () => {
    const name = fresh();
    const store = open(name, { pollMs: 60_000 });
    const tab = openTab(name);
    const steps = store.watch({ after: await store.cursor() })[Symbol.asyncIterator]();
    const step = next(steps);
    await tab.run(async (there) => {
      await there.set('a', 1);
    });
    expect(await step).toMatchObject({ from: 0, writes: [{ key: 'a', value: 1 }] });
    const cursor = await tab.run(async (there) => {
      for (let n = 0; n < 50; n++) await there.set(`k${n % 5}`, n);
      await there.delete('a');
      return there.cursor();
    });
    const state = new Map([['a', 1]]);
    for (let at: string | undefined; at !== cursor; ) {
      const commit = await next(steps);
      for (const change of commit.writes)
        if (change.type === 'set') state.set(change.key, change.value);
        else state.delete(change.key);
      at = commit.cursor;
    }
    expect(state).toEqual(new Map([45, 46, 47, 48, 49].map((n) => [`k${n % 5}`, n])));
    await steps.return?.();
  });

  it('miss no ring that comes before they wait', async () => {
    const name = fresh();
    const store = open(name, { pollMs: 60_000 });
    const { feed } = primitivesOf(store);
    const { head } = (await feed?.state(background())) ?? {};
    await open(name).set('a', 1);
    // The ring has come and gone by now.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await feed?.wait(head, background());
    expect((await feed?.state(background()))?.head.rev).toBe(1);
  });

  it('hear of commits even where nothing announces them', async () => {
    const name = fresh();
    const store = open(name, { pollMs: 20 });
    const steps = store.watch()[Symbol.asyncIterator]();
    const step = next(steps);
    await store.get('open');
    const { BroadcastChannel } = globalThis;
    Reflect.deleteProperty(globalThis, 'BroadcastChannel');
    try {
      await open(name).set('a', 1);
    } finally {
      globalThis.BroadcastChannel = BroadcastChannel;
    }
    expect(await step).toMatchObject({ writes: [{ key: 'a', value: 1 }] });
    await steps.return?.();
  });

  it('lose no update when both write the same key at once', async () => {
    const name = fresh();
    const store = open(name);
    const count = async (there: Store<number>): Promise<void> => {
      await Promise.all(
        Array.from({ length: 40 }, () =>
          there.update('count', (n) => (n ?? 0) + 1, { timeoutMs: 20_000 }),
        ),
      );
    };
    const tab = openTab(name);
    await Promise.all([count(store), tab.run(count)]);
    expect(await store.get('count')).toBe(80);
  });

  it('wait for no longer than they are told while the other holds the database', async () => {
    const name = fresh();
    const store = open(name);
    await store.set('a', 0);
    const theirs = await openDB(name);
    const tx = theirs.transaction('entries', 'readwrite');
    let busy = true;
    const holding = (async () => {
      while (busy) await tx.store.get('none');
      await tx.done;
    })();
    const first = failureOf(store.set('a', 1, { timeoutMs: 50 }));
    // Not the public call alone: what waits behind the first is freed when it is given up.
    const call = Call.background(systemEnv, 'set');
    const write = { type: 'set', key: 'a', value: 2 } as const;
    await Promise.resolve();
    await Promise.resolve();
    const second = failureOf(Promise.resolve(primitivesOf(store).commit([write], call)));
    call.end('timeout');
    expect(await second).toMatchObject({ code: 'timeout' });
    expect(await first).toMatchObject({ code: 'timeout', operation: 'set', key: 'a' });
    expect(await failureOf(store.get('a', { timeoutMs: 50 }))).toMatchObject({ code: 'timeout' });
    busy = false;
    await holding;
    theirs.close();
    expect(await store.get('a')).toBe(0);
    await store.set('a', 3);
    expect(await store.cursor()).toMatch(/\.2\./);
  });

  it('find a batch whole or not at all when a tab ends while it writes', async () => {
    const name = fresh();
    const store = open(name);
    await store.get('open');
    for (let round = 0; round < 4; round++) {
      const tab = openTab(name);
      await tab.ready;
      const batches = 30;
      const writing = tab.run(async (there, many) => {
        for (let n = 1; n <= many; n++)
          await there.setMany(Array.from({ length: 200 }, (_, i) => [`k${i}`, n] as const));
      }, batches);
      await new Promise((resolve) => setTimeout(resolve, 20 + round * 30));
      tab.end();
      void writing;
      const found = new Set(
        (await store.getMany(Array.from({ length: 200 }, (_, i) => `k${i}`))).values(),
      );
      expect(found.size).toBeLessThanOrEqual(1);
      const steps = store.watch({ after: 'start' })[Symbol.asyncIterator]();
      await store.set('alive', round);
      expect((await next(steps)).writes.length).toBeGreaterThan(0);
      await steps.return?.();
    }
  });
});

describe('relaxed durability', () => {
  const relaxed = { durability: 'os' } as const;

  it('begins a new epoch when a tab ended with commits that power loss could undo', async () => {
    const name = fresh();
    const tab = openTab(name, relaxed);
    const cursor = await tab.run(async (there) => {
      await there.set('a', 1);
      return there.cursor();
    });
    tab.end();
    await released(name);
    const store = open(name, relaxed);
    const failure = await failureOf(next(store.watch({ after: cursor })[Symbol.asyncIterator]()));
    expect(isStrataError(failure, 'cursor-expired')).toBe(true);
    expect(await store.get('a')).toBe(1);
    // The mark is off: the next opening goes on in the same epoch.
    const later = await store.cursor();
    await store.close();
    expect(await open(name).cursor()).toBe(later);
  });

  it('goes on in its epoch when it was quiet before the tab ended', async () => {
    const name = fresh();
    const tab = openTab(name, relaxed);
    const cursor = await tab.run(async (there) => {
      await there.set('a', 1);
      await new Promise((resolve) => setTimeout(resolve, 600));
      return there.cursor();
    });
    tab.end();
    await released(name);
    expect(await open(name, relaxed).cursor()).toBe(cursor);
  });

  it('goes on in its epoch when it was closed', async () => {
    const name = fresh();
    const store = open(name, relaxed);
    await store.set('a', 1);
    const cursor = await store.cursor();
    await store.close();
    expect(await open(name).cursor()).toBe(cursor);
  });

  it('leaves the epoch alone while another tab is at work', async () => {
    const name = fresh();
    const tab = openTab(name, relaxed);
    await tab.run(async (there) => {
      await there.set('a', 1);
    });
    const store = open(name, relaxed);
    const strict = open(name);
    const cursor = await tab.run(async (there) => there.cursor());
    expect(await store.cursor()).toBe(cursor);
    expect(await strict.cursor()).toBe(cursor);
  });

  it('knows in which epoch each entry was made', async () => {
    const name = fresh();
    const tab = openTab(name, relaxed);
    const first = await tab.run(async (there) => {
      await there.set('a', 1);
      return there.cursor();
    });
    tab.end();
    await released(name);
    const store = open(name, relaxed);
    await store.set('b', 2);
    const second = await store.cursor();
    const { feed } = primitivesOf(store);
    const epochs = [1, 2].map((rev) => feed?.epochOf(rev));
    expect(epochs).toEqual([first, second].map((cursor) => cursor.split('.')[0]));
    expect(epochs[0]).not.toBe(epochs[1]);
  });
});

/** Waits until the browser has freed what an ended tab held. */
async function released(name: string): Promise<void> {
  await navigator.locks.request(`stratakv:${name}:using`, async () => {});
}

describe('a database that others change', () => {
  it('comes back empty, in a new epoch, when it is deleted while in use', async () => {
    const name = fresh();
    const store = open(name, { pollMs: 60_000 });
    await store.set('a', 1);
    const before = await store.cursor();
    const step = failureOf(next(store.watch()[Symbol.asyncIterator]()));
    await store.get('a');
    await deleteDB(name);
    expect(await step).toMatchObject({ code: 'cursor-expired' });
    expect(await store.get('a')).toBeUndefined();
    const after = await store.cursor();
    expect(after).toMatch(/\.0\.$/);
    expect(after.split('.')[0]).not.toBe(before.split('.')[0]);
    await store.set('b', 2);
    expect(await Array.fromAsync(store.keys())).toEqual(['b']);
  });

  it('does not stand in the way of an upgrade, and then says what to do', async () => {
    const name = fresh();
    const store = open(name, { pollMs: 60_000 });
    await store.set('a', 1);
    const step = failureOf(next(store.watch()[Symbol.asyncIterator]()));
    await store.get('a');
    const newer = await openDB(name, 2);
    const expected = { code: 'unavailable', retryable: false, message: /newer version/ };
    for (const failure of [step, store.get('a'), store.set('a', 2), open(name).get('a')])
      expect(await failureOf(failure)).toMatchObject({
        ...expected,
        message: expect.stringMatching(expected.message),
      });
    newer.close();
  });

  it('is unavailable within its bound while another tab keeps it from opening', async () => {
    const name = fresh();
    await open(name).set('a', 1);
    await stores.pop()?.close();
    // Nobody closes this one when the deletion wants it.
    const stubborn = await openDB(name, 1);
    const deletion = deleteDB(name);
    const store = open(name, { openTimeoutMs: 100 });
    const began = performance.now();
    for (const failure of [store.get('a'), store.set('a', 2)])
      expect(await failureOf(failure)).toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('another tab'),
      });
    expect(performance.now() - began).toBeLessThan(2_000);
    stubborn.close();
    await deletion;
    expect(await store.get('a')).toBeUndefined();
    await store.set('a', 3);
    expect(await store.get('a')).toBe(3);
  });

  it.each([1, 7])('refuses the database of another program, at version %d', async (version) => {
    const name = fresh();
    const theirs = await openDB(name, version, {
      upgrade: (db) => {
        db.createObjectStore('entries').put('theirs', 'a');
      },
    });
    theirs.close();
    const store = open(name);
    for (const failure of [store.get('a'), store.set('a', 1)])
      expect(await failureOf(failure)).toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('another program'),
      });
    const again = await openDB(name);
    expect(await again.getAll('entries')).toEqual(['theirs']);
    expect([...again.objectStoreNames]).toEqual(['entries']);
    again.close();
  });
});
