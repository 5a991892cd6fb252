/** What runs in the tabs of the tests of large groups: one copies a published store, another reads the copy. */
import { indexeddb } from '../../src/drivers/indexeddb/index.ts';
import type { Store } from '../../src/store/store.ts';
import { type SubscriptionStatus, subscribe, webSocket } from '../../src/sync/index.ts';

/** What a reader found of some keys: of each value its first byte, each once. */
export type Generations = readonly number[];

export interface LargeGroupPage {
  /** Begins to copy. */
  copy(url: string, name: string): void;
  copied(): Promise<void>;
  status(): SubscriptionStatus;
  errors(): readonly string[];
  /** Entries that this tab has handed to the database so far, in transactions that may be incomplete. */
  puts(): number;
  /** Reads keys again and again, until `reading` is asked. */
  read(name: string, keys: readonly string[]): void;
  /** Which mixtures were seen so far: generations joined by commas, those of missing keys as -1. */
  seen(): readonly string[];
  /** Every generation in the whole store, and how many keys there are. */
  whole(name: string): Promise<{ readonly generations: Generations; readonly keys: number }>;
}

declare global {
  var large: LargeGroupPage;
}

const TIMEOUT_MS = 120_000;
const stores = new Map<string, Store<Uint8Array>>();
const open = (name: string): Store<Uint8Array> => {
  const store =
    stores.get(name) ?? indexeddb<Uint8Array>({ name, timeoutMs: TIMEOUT_MS, pollMs: 100 });
  stores.set(name, store);
  return store;
};

let puts = 0;
const { put } = IDBObjectStore.prototype;
IDBObjectStore.prototype.put = function (...args) {
  puts++;
  return put.apply(this, args);
};

let subscription: ReturnType<typeof subscribe<Uint8Array>> | undefined;
const errors: string[] = [];
const seen = new Set<string>();

globalThis.large = {
  copy: (url, name) => {
    subscription = subscribe(webSocket(url), open(name), {
      timeoutMs: TIMEOUT_MS,
      reconnect: { baseMs: 10, capMs: 100 },
      onError: (error) => void errors.push(error.message),
    });
  },
  copied: () => subscription?.ready ?? Promise.reject(new Error('nothing is being copied')),
  status: () => {
    if (subscription === undefined) throw new Error('nothing is being copied');
    return subscription.status();
  },
  errors: () => errors,
  puts: () => puts,
  read: (name, keys) => {
    const store = open(name);
    const look = async (): Promise<void> => {
      for (;;) {
        const found = await store.getMany(keys);
        seen.add([...new Set(keys.map((key) => found.get(key)?.[0] ?? -1))].join());
      }
    };
    look().catch((error: unknown) => void seen.add(String(error)));
  },
  seen: () => [...seen],
  whole: async (name) => {
    const generations = new Set<number>();
    let keys = 0;
    for await (const { value } of open(name).list()) {
      generations.add(value[0] ?? -1);
      keys++;
    }
    return { generations: [...generations], keys };
  },
};
