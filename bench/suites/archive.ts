import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Archive, archive, redisKeys } from '../../src/compositions/archive/index.ts';
import { file } from '../../src/drivers/file/index.ts';
import { memory, type Store } from '../../src/index.ts';
import { inFlight } from '../lib/in-flight.ts';
import { compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import { startOrSkip } from '../lib/redis-or-skip.ts';
import type { Report, Suite } from '../lib/row.ts';
import { scaled } from '../lib/scaled.ts';
import { archiveInS3 } from './archive-s3.ts';

const KEYS = 1_000;
const VALUE_BYTES = 1_024;
const WRITERS = 16;
const ROUNDS = 7;
const EVICTED = scaled(100_000);

interface Ground {
  readonly client: Redis;
  readonly cold: Store<Uint8Array>;
  readonly safe: Archive;
}

const keys = Array.from({ length: KEYS }, (_, n) => `user:${n}`);

/** Does not get smaller: what is measured is the way, not the compression. */
const noise = (): Buffer => Buffer.from(crypto.getRandomValues(new Uint8Array(VALUE_BYTES)));

async function fill(client: Redis, names: readonly string[]): Promise<void> {
  const pipeline = client.pipeline();
  for (const name of names) pipeline.set(name, noise());
  await pipeline.exec();
}

/** Marks are worked off as fast as they can be, into files that are flushed. */
async function freezing({ client, cold, safe }: Ground, report: Report): Promise<void> {
  const value = noise();
  const frozen = async (names: readonly string[]): Promise<number> => {
    await fill(client, names);
    await safe.dirty(...names);
    const start = performance.now();
    const { frozen } = await safe.drain();
    if (frozen !== names.length) throw new Error(`${frozen} of ${names.length} keys were frozen`);
    return performance.now() - start;
  };
  const named = (round: number): string[] => keys.map((key) => `${key}:${round}`);
  const result = await compare(
    [
      { name: 'new', operations: KEYS, run: (round) => frozen(named(round)) },
      { name: 'again', operations: KEYS, run: () => frozen(keys) },
      {
        name: 'file store',
        operations: KEYS,
        run: (round) => inFlight(WRITERS, KEYS, (i) => cold.set(`raw:${round}:${i}`, value)),
      },
      {
        name: 'file store, overwritten',
        operations: KEYS,
        run: () => inFlight(WRITERS, KEYS, (i) => cold.set(`raw:${i}`, value)),
      },
    ],
    ROUNDS,
  );
  const goal = { unit: 'keys/s', least: 0.7 };
  const first = { name: 'freeze, 1 KB', own: 'new', against: 'file store' };
  report(rateRow(result, { ...first, ...goal }));
  const again = { name: 'freeze again', own: 'again', against: 'file store, overwritten' };
  report(rateRow(result, { ...again, ...goal }));
}

/** Keys that are there; their records are looked for only where some key is evicted. */
async function ensuring(
  { client, safe }: Ground,
  beside: 'none evicted' | 'others evicted',
  report: Report,
): Promise<void> {
  if (beside === 'others evicted') {
    const others = keys.map((key) => `other:${key}`);
    await fill(client, others);
    await safe.dirty(...others);
    await safe.drain();
    await safe.evict(...others);
  }
  await fill(client, keys);
  const touched = async (): Promise<void> => {
    const pipeline = client.pipeline();
    for (const key of keys) pipeline.touch(key);
    await pipeline.exec();
  };
  const times = 20;
  const repeated = async (work: () => Promise<unknown>): Promise<void> => {
    for (let n = 0; n < times; n++) await work();
  };
  const result = await compare(
    [
      { name: 'ensure', operations: KEYS * times, run: () => repeated(() => safe.ensure(...keys)) },
      { name: 'pipelined TOUCH', operations: KEYS * times, run: () => repeated(touched) },
    ],
    ROUNDS,
  );
  const named = { name: `ensure, ${KEYS} keys there, ${beside}`, unit: 'keys/s', own: 'ensure' };
  report(rateRow(result, { ...named, against: 'pipelined TOUCH', least: 1 / 1.3 }));
}

async function bringingBack({ client, cold, safe }: Ground, report: Report): Promise<void> {
  await fill(client, keys);
  await safe.dirty(...keys);
  await safe.drain();
  const payloads = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
  await inFlight(WRITERS, KEYS, (i) => cold.set(`dump:${i}`, payloads[i] as Buffer));
  const result = await compare(
    [
      {
        name: 'ensure',
        operations: KEYS,
        run: async () => {
          await safe.drain();
          const { evicted } = await safe.evict(...keys);
          if (evicted !== KEYS) throw new Error(`${evicted} of ${KEYS} keys were evicted`);
          const start = performance.now();
          await safe.ensure(...keys);
          return performance.now() - start;
        },
      },
      {
        name: 'GET and RESTORE',
        operations: KEYS,
        run: async () => {
          await client.del(keys.map((key) => `bare:${key}`));
          const start = performance.now();
          await inFlight(WRITERS, KEYS, async (i) => {
            const payload = (await cold.get(`dump:${i}`)) as Uint8Array;
            await client.restore(`bare:${keys[i]}`, 0, Buffer.from(payload));
          });
          return performance.now() - start;
        },
      },
    ],
    ROUNDS,
  );
  const named = { name: 'bring back, 1 KB', unit: 'keys/s', own: 'ensure' };
  report(rateRow(result, { ...named, against: 'GET and RESTORE', least: 1 / 1.3 }));
}

/** What stays in Redis of a key that is evicted. */
async function remembering(url: string, client: Redis, report: Report): Promise<void> {
  await client.flushall();
  const usedBytes = async (): Promise<number> =>
    Number(/used_memory_dataset:(\d+)/.exec(await client.info('memory'))?.[1]);
  const pattern = new Redis(url, { lazyConnect: true });
  const safe = archive({ hot: redisKeys(pattern), cold: memory(), concurrency: 64 });
  await safe.stats();
  const before = await usedBytes();
  for (let at = 0; at < EVICTED; at += 1_000) {
    const names = Array.from({ length: 1_000 }, (_, n) => `user:${at + n}`);
    const pipeline = client.pipeline();
    for (const name of names) pipeline.set(name, name);
    await pipeline.exec();
    await safe.dirty(...names);
    await safe.drain();
    await safe.evict(...names);
  }
  const { evicted } = await safe.stats();
  const value = ((await usedBytes()) - before) / evicted;
  await safe.close();
  report({
    name: `Redis memory a key, ${evicted} evicted`,
    value,
    unit: 'B',
    goal: { of: 'value', most: 40 },
  });
}

export const archiveSuite: Suite = {
  name: 'archive',
  about: `keys of ${VALUE_BYTES} random bytes, frozen to files that are flushed, ${WRITERS} at once, and brought back; and the same with an S3 endpoint`,
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'stratakv-archive-'));
    const server = await startOrSkip();
    const client = new Redis(server.url);
    const cold = file({ path: join(folder, 'cold'), timeoutMs: 60_000 });
    const hot = redisKeys(new Redis(server.url, { lazyConnect: true }));
    const safe = archive({ hot, cold, concurrency: WRITERS, throttleMs: 0 });
    try {
      const ground = { client, cold, safe };
      await freezing(ground, report);
      await ensuring(ground, 'none evicted', report);
      await ensuring(ground, 'others evicted', report);
      await bringingBack(ground, report);
      await remembering(server.url, client, report);
      const of = { redisUrl: server.url, redis: client, writers: WRITERS };
      await archiveInS3({ ...of, fill: (names) => fill(client, names) }, report);
    } finally {
      await safe.close();
      await cold.close();
      client.disconnect();
      await server.stop();
      rmSync(folder, { recursive: true });
    }
  },
};
