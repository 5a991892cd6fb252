/** Clients of both libraries whose keys are archived, for tests on the server of an archive's tests. */
import { Redis, type RedisOptions } from 'ioredis';
import { createClient, type RedisClientOptions } from 'redis';
import { afterEach } from 'vitest';
import type { Archive } from '../../src/compositions/archive/index.ts';
import {
  type ArchivedRedisOptions,
  archivedRedis,
} from '../../src/compositions/archive/redis/index.ts';
import type { ArchiveServer } from './archive-world.ts';

type More = Partial<ArchivedRedisOptions>;

/** A client of node-redis, as its library makes it. */
export type NodeRedis = ReturnType<typeof createClient>;

/** Makes clients, and ends them after each test; to be made within `describe`. */
export class ArchivedClients {
  readonly #on: ArchiveServer;
  readonly #ends: (() => void)[] = [];

  constructor(on: ArchiveServer) {
    this.#on = on;
    afterEach(() => {
      for (const end of this.#ends.splice(0)) end();
    });
  }

  ioredis(archive: Archive, more: More = {}, options: RedisOptions = {}): Redis {
    const kv = archivedRedis(new Redis(this.#on.url, options), { archive, ...more });
    this.#ends.push(() => kv.disconnect());
    return kv;
  }

  async nodeRedis(
    archive: Archive,
    more: More = {},
    options: RedisClientOptions = {},
  ): Promise<NodeRedis> {
    const kv = archivedRedis(createClient({ url: this.#on.url, ...options }) as NodeRedis, {
      archive,
      ...more,
    });
    kv.on('error', () => undefined);
    await kv.connect();
    this.#ends.push(() => {
      if (kv.isOpen) kv.destroy();
    });
    return kv;
  }

  /** Marks, freezes and evicts. */
  async evict(archive: Archive, ...keys: (string | Buffer)[]): Promise<void> {
    await archive.dirty(...keys);
    await archive.drain();
    const { evicted } = await archive.evict(...keys);
    if (evicted !== keys.length) throw new Error(`${evicted} of ${keys.length} keys are evicted`);
  }
}
