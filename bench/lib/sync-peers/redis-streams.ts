/** Redis: every write is appended to a stream, which each subscriber reads from its last id on. */
import { Redis } from 'ioredis';
import { startRedis } from '../../../test/support/redis-server.ts';
import type { Peer } from './peer.ts';
import { sameText, textsOf } from './peer.ts';

const STREAM = 'bench';
/** Entries of one answer, and of one pipeline. */
const BATCH = 1_000;
const BLOCK_MS = 1_000;

type Entries = [id: Buffer, fields: [key: Buffer, value: Buffer]][];

export const redisStreams: Peer = {
  async serve() {
    const server = await startRedis();
    const client = new Redis(server.url, { enableAutoPipelining: true });
    return {
      address: server.url,
      pid: server.pid,
      async fill(items) {
        for (let at = 0; at < items.length; at += BATCH) {
          const pipeline = client.pipeline();
          for (const { key, bytes } of items.slice(at, at + BATCH))
            pipeline.xadd(STREAM, '*', key, Buffer.from(bytes.buffer));
          await pipeline.exec();
        }
      },
      async write(items) {
        for (let at = 0; at < items.length; at += BATCH)
          await Promise.all(
            items
              .slice(at, at + BATCH)
              .map(({ key, bytes }) => client.xadd(STREAM, '*', key, Buffer.from(bytes.buffer))),
          );
      },
      async stop() {
        client.disconnect();
        await server.stop();
      },
    };
  },
  async connect(address) {
    const reader = new Reader();
    await reader.open(address);
    return {
      has: (item) => sameText(reader.held.get(item.key), item),
      entries: () => textsOf(reader.held),
      watch: (key, heard) => void reader.watched.set(key, heard),
      close: async () => reader.close(),
      resume: (to) => reader.open(to),
    };
  },
};

class Reader {
  readonly held: Map<string, Uint8Array> = new Map();
  readonly watched: Map<string, () => void> = new Map();
  #last = '0';
  #client: Redis | undefined;

  async open(address: string): Promise<void> {
    const client = new Redis(address);
    this.#client = client;
    const [newest] = await client.xrevrange(STREAM, '+', '-', 'COUNT', 1);
    const target = newest?.[0];
    const caughtUp = Promise.withResolvers<void>();
    if (target === undefined || target === this.#last) caughtUp.resolve();
    void this.#read(client, (id) => {
      if (id === target) caughtUp.resolve();
    });
    await caughtUp.promise;
  }

  close(): void {
    this.#client?.disconnect();
    this.#client = undefined;
  }

  async #read(client: Redis, passed: (id: string) => void): Promise<void> {
    while (this.#client === client) {
      const read = client.xreadBuffer(
        'COUNT',
        BATCH,
        'BLOCK',
        BLOCK_MS,
        'STREAMS',
        STREAM,
        this.#last,
      );
      const answer = (await read.catch(() => null)) as [Buffer, Entries][] | null;
      for (const [id, [key, value]] of answer?.[0]?.[1] ?? []) {
        const name = key.toString('latin1');
        this.held.set(name, value);
        this.#last = id.toString('latin1');
        this.watched.get(name)?.();
        if (this.#last !== undefined) passed(this.#last);
      }
    }
  }
}
