/** Two-tier caches of other libraries over one Redis, and ours, behind the calls that they all have. */
import KeyvRedis from '@keyv/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisDriver } from 'bentocache/drivers/redis';
import { createCache } from 'cache-manager';
import { Cacheable } from 'cacheable';
import { Redis } from 'ioredis';
import Keyv from 'keyv';
import { createStorage } from 'unstorage';
import redisStorage from 'unstorage/drivers/redis';
import { redis } from '../../src/drivers/redis/index.ts';
import { json, memory, type TieredOptions, tiered } from '../../src/index.ts';

export interface Sample {
  readonly id: number;
  readonly [field: string]: unknown;
}

/** About 1 KB of JSON. */
export function sample(id: number): Sample {
  return {
    id,
    name: `user ${id}`,
    tags: ['alpha', 'beta', 'gamma'],
    profile: { city: 'Lisbon', score: id * 1.5, active: id % 2 === 0 },
    text: 'lorem ipsum '.repeat(70),
  };
}

export interface Peer {
  readonly name: string;
  /** Whether it keeps copies in this process, in front of Redis. */
  readonly hasFront: boolean;
  get(key: string): Promise<Sample | undefined>;
  set(key: string, value: Sample): Promise<unknown>;
  /** Waits until what was acknowledged is in Redis, where that is not so at once. */
  settle?(): Promise<unknown>;
  close(): Promise<unknown>;
}

export type OpenPeer = (url: string, prefix: string) => Promise<Peer>;

export type TieredPeerOptions = Partial<Omit<TieredOptions<Sample>, 'front' | 'back'>>;

export function tieredPeer(
  name: string,
  options: (prefix: string) => TieredPeerOptions = () => ({}),
): OpenPeer {
  return async (url, prefix) => {
    const back = redis({ url, prefix, codec: json<Sample>() });
    const store = tiered<Sample>({ front: memory(), back, ...options(prefix) });
    return {
      name,
      hasFront: true,
      get: (key) => store.get(key),
      set: (key, value) => store.set(key, value),
      settle: () => store.flush({ timeoutMs: 30_000 }),
      close: () => store.close(),
    };
  };
}

export const openPeers: Readonly<Record<string, OpenPeer>> = {
  unstorage: async (url, prefix) => {
    const driver = redisStorage({ url, base: prefix });
    (driver.getInstance?.() as Redis | undefined)?.on('error', () => {});
    const storage = createStorage({ driver });
    return {
      name: 'unstorage',
      hasFront: false,
      get: async (key) => (await storage.getItem<Sample>(key)) ?? undefined,
      set: (key, value) => storage.setItem(key, value as never),
      close: () => storage.dispose(),
    };
  },
  keyv: async (url, prefix) => {
    const keyv = new Keyv({ store: new KeyvRedis(url), namespace: prefix });
    keyv.on('error', () => {});
    return {
      name: 'keyv',
      hasFront: false,
      get: (key) => keyv.get<Sample>(key),
      set: (key, value) => keyv.set(key, value),
      close: () => keyv.disconnect(),
    };
  },
  'cache-manager': async (url, prefix) => {
    const back = new Keyv({ store: new KeyvRedis(url), namespace: prefix });
    const cache = createCache({ stores: [new Keyv(), back] });
    cache.on('set', () => {});
    back.on('error', () => {});
    return {
      name: 'cache-manager',
      hasFront: true,
      get: async (key) => (await cache.get<Sample>(key)) ?? undefined,
      set: (key, value) => cache.set(key, value),
      close: () => cache.disconnect(),
    };
  },
  cacheable: async (url, prefix) => {
    const secondary = new Keyv({ store: new KeyvRedis(url), namespace: prefix });
    secondary.on('error', () => {});
    const cache = new Cacheable({ secondary });
    cache.on('error', () => {});
    return {
      name: 'cacheable',
      hasFront: true,
      get: (key) => cache.get<Sample>(key),
      set: (key, value) => cache.set(key, value),
      close: () => cache.disconnect(),
    };
  },
  bentocache: async (url, prefix) => {
    const connection = new Redis(url);
    connection.on('error', () => {});
    const front = memoryDriver({ maxItems: 1_000_000 });
    const stores = bentostore().useL1Layer(front).useL2Layer(redisDriver({ connection, prefix }));
    const bento = new BentoCache({ default: 'cache', stores: { cache: stores } });
    return {
      name: 'bentocache',
      hasFront: true,
      get: (key) => bento.get<Sample>({ key }),
      set: (key, value) => bento.set({ key, value }),
      close: () => bento.disconnectAll(),
    };
  },
};
