/** Archives over a Redis of the tests' own, and a cold store that fails on demand. */
import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import {
  type Archive,
  type ArchiveOptions,
  archive,
  redisKeys,
} from '../../src/compositions/archive/index.ts';
import type { Store } from '../../src/store/store.ts';
import { FaultPlan } from '../../src/testing/index.ts';
import { type RedisServer, startRedis } from './engines.ts';
import { faultyCold } from './faulty-cold.ts';
import { redisClients } from './redis-clients.ts';

/** What a test has: its cold store, and archives over it. */
export interface ArchiveWorld {
  readonly cold: Store<Uint8Array>;
  readonly plan: FaultPlan;
  readonly one: Archive;
  readonly another: (more?: Partial<ArchiveOptions>) => Archive;
}

/** Lets a test look into a cold store that an archive has to itself. */
export const UNOWNED = {
  name: '',
  check: async (): Promise<void> => {},
  ask: (): undefined => {},
} as const;

/** Lets every mark be due, as if its lease or delay had ended. */
export async function makeDue(
  client: RedisClientType,
  namespace = 'strata-archive',
): Promise<void> {
  const lanes = [`${namespace}:due`, `${namespace}:retry`];
  const script = `for _, lane in ipairs(KEYS) do
    for _, key in ipairs(redis.call('ZRANGE', lane, 0, -1)) do redis.call('ZADD', lane, 0, key) end
  end`;
  await client.eval(script, { keys: lanes });
}

/** A server for all tests of a file, emptied after each; to be made within `describe`. */
export class ArchiveServer {
  #server: RedisServer | undefined;
  #client: RedisClientType | undefined;
  readonly #open: Archive[] = [];

  constructor() {
    beforeAll(async () => {
      this.#server = await startRedis({ args: ['--enable-debug-command', 'local'] });
      this.#client = createClient({ url: this.url });
      await this.#client.connect();
    });
    afterEach(async () => {
      await Promise.all(this.#open.splice(0).map((one) => one.close()));
      await this.client.flushAll();
    });
    afterAll(async () => {
      this.client.destroy();
      await this.#server?.stop();
    });
  }

  get url(): string {
    return (this.#server as RedisServer).url;
  }

  get client(): RedisClientType {
    return this.#client as RedisClientType;
  }

  world(options: Partial<ArchiveOptions> = {}): ArchiveWorld {
    const plan = new FaultPlan();
    const cold = faultyCold(plan);
    const another = (more: Partial<ArchiveOptions> = {}): Archive => {
      const hot = redisKeys(redisClients['node-redis'](this.url).client);
      const made = archive({ hot, cold, throttleMs: 0, evictAfterMs: 1, ...options, ...more });
      this.#open.push(made);
      return made;
    };
    return { cold, plan, one: another(), another };
  }

  /** Ends leases and delays. */
  makeDue(): Promise<void> {
    return makeDue(this.client);
  }

  /** Writes, marks and freezes. */
  async frozen(one: Archive, key: string, value: string): Promise<void> {
    await this.client.set(key, value);
    await one.dirty(key);
    await one.drain();
  }

  async evicted(one: Archive, key: string, value: string): Promise<void> {
    await this.frozen(one, key, value);
    expect(await one.evict(key)).toEqual({ evicted: 1, kept: [] });
    expect(await this.client.exists(key)).toBe(0);
  }
}
