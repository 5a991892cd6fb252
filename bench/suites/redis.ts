import { Redis } from 'ioredis';
import { redis } from '../../src/drivers/redis/index.ts';
import type { Store } from '../../src/store/store.ts';
import type { RedisServer } from '../../test/support/redis-server.ts';
import { inFlight } from '../lib/in-flight.ts';
import { compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import { startOrSkip } from '../lib/redis-or-skip.ts';
import type { Report, Suite } from '../lib/row.ts';
import { makeKey, makeValue, sameBytes } from '../lib/sample-data.ts';

const KEYS = 20_000;
const IN_FLIGHT = 1_000;
const BATCH = 100;
const VALUE_BYTES = 1_024;
const ROUNDS = 7;

interface Ground {
  readonly store: Store<Uint8Array>;
  /** A client for commands one by one, and one that gathers those of a moment into a pipeline. */
  readonly plain: Redis;
  readonly gathering: Redis;
}

/** Values of every key in every round: all differ, and making them costs nobody time. */
const values = Array.from({ length: 2 }, (_, version) =>
  Array.from({ length: KEYS }, (_, i) => Buffer.from(makeValue(i, version, VALUE_BYTES).buffer)),
);
const keys = Array.from({ length: KEYS }, (_, i) => makeKey(i));
const keyAt = (i: number): string => keys[i] as string;
const valueAt = (i: number, round: number): Buffer => values[round % 2]?.[i] as Buffer;

async function singleCommits({ store, plain }: Ground, report: Report): Promise<void> {
  const result = await compare(
    [
      {
        name: 'redis',
        operations: KEYS,
        run: (round) => inFlight(IN_FLIGHT, KEYS, (i) => store.set(keyAt(i), valueAt(i, round))),
        verify: (round) => verifyStore(store, round),
      },
      {
        name: 'pipelined SET',
        operations: KEYS,
        run: (round) => pipelinedSets(plain, IN_FLIGHT / 2, round),
        verify: (round) => verifyRaw(plain, round),
      },
    ],
    ROUNDS,
  );
  const measured = { own: 'redis', against: 'pipelined SET', least: 0.4 };
  report(rateRow(result, { name: 'single commits', unit: 'writes/s', ...measured }));
}

async function batches({ store, plain }: Ground, report: Report): Promise<void> {
  const result = await compare(
    [
      {
        name: 'redis',
        operations: KEYS,
        run: (round) =>
          inFlight(IN_FLIGHT / BATCH, KEYS / BATCH, (batch) =>
            store.setMany(
              Array.from({ length: BATCH }, (_, at) => {
                const i = batch * BATCH + at;
                return [keyAt(i), valueAt(i, round)] as const;
              }),
            ),
          ),
        verify: (round) => verifyStore(store, round),
      },
      {
        name: 'pipelined SET',
        operations: KEYS,
        run: (round) => pipelinedSets(plain, BATCH, round),
        verify: (round) => verifyRaw(plain, round),
      },
    ],
    ROUNDS,
  );
  const measured = { own: 'redis', against: 'pipelined SET', least: 0.6 };
  report(rateRow(result, { name: `batches of ${BATCH}`, unit: 'writes/s', ...measured }));
}

/** Pipelines of so many SETs, so many of them under way that `IN_FLIGHT` SETs are. */
function pipelinedSets(client: Redis, size: number, round: number): Promise<void> {
  return inFlight(IN_FLIGHT / size, KEYS / size, (part) => {
    const pipeline = client.pipeline();
    for (let i = part * size; i < (part + 1) * size; i++)
      pipeline.set(rawKey(i), valueAt(i, round));
    return pipeline.exec();
  });
}

const rawKey = (i: number): string => `raw:${keyAt(i)}`;

async function gets({ store, gathering }: Ground, report: Report): Promise<void> {
  let bytes = 0;
  const verify = (): void => {
    if (bytes !== KEYS * VALUE_BYTES) throw new Error('values that are not 1 KB');
    bytes = 0;
  };
  const result = await compare(
    [
      {
        name: 'redis',
        operations: KEYS,
        run: () =>
          inFlight(IN_FLIGHT, KEYS, async (i) => {
            const value = await store.get(keyAt(i));
            bytes += value?.length ?? 0;
          }),
        verify,
      },
      {
        name: 'autopipelined GET',
        operations: KEYS,
        run: () =>
          inFlight(IN_FLIGHT, KEYS, async (i) => {
            const value = await gathering.getBuffer(rawKey(i));
            bytes += value?.length ?? 0;
          }),
        verify,
      },
    ],
    ROUNDS,
  );
  const measured = { own: 'redis', against: 'autopipelined GET', least: 1 / 1.15 };
  report(rateRow(result, { name: 'get', unit: 'gets/s', ...measured }));
}

async function verifyStore(store: Store<Uint8Array>, round: number): Promise<void> {
  const found = await store.getMany(keys, { timeoutMs: 30_000 });
  for (let i = 0; i < KEYS; i++)
    if (!sameBytes(found.get(keyAt(i)), valueAt(i, round)))
      throw new Error(`${keyAt(i)} has another value`);
}

async function verifyRaw(client: Redis, round: number): Promise<void> {
  const found = await client.mgetBuffer(keys.map((_, i) => rawKey(i)));
  for (let i = 0; i < KEYS; i++)
    if (!sameBytes(found[i] ?? undefined, valueAt(i, round)))
      throw new Error(`${rawKey(i)} has another value`);
}

/** The server named by `STRATAKV_REDIS_URL`, else one of this suite's own. */
async function server(): Promise<Pick<RedisServer, 'url' | 'stop'>> {
  const named = process.env.STRATAKV_REDIS_URL;
  if (named) return { url: named, stop: async () => {} };
  return startOrSkip();
}

/** Takes away what was written, which matters where the server is somebody else's. */
async function cleanUp(client: Redis, prefix: string): Promise<void> {
  const own = await client.keys(`{${prefix}}*`);
  await client.unlink(...own, ...keys.map((_, i) => rawKey(i)));
}

export const redisSuite: Suite = {
  name: 'redis',
  about: `the redis driver against the bare client, ${IN_FLIGHT.toLocaleString('en')} calls under way, 1 KB`,
  async run(report) {
    const { url, stop } = await server();
    const plain = new Redis(url);
    const gathering = new Redis(url, { enableAutoPipelining: true });
    const prefix = `stratakv-bench-${process.pid}`;
    const store = redis({ client: plain, prefix });
    try {
      const ground: Ground = { store, plain, gathering };
      await singleCommits(ground, report);
      await batches(ground, report);
      await gets(ground, report);
      await cleanUp(plain, prefix);
    } finally {
      await store.close();
      plain.disconnect();
      gathering.disconnect();
      await stop();
    }
  },
};
