/** The part of the suite `archive` whose cold store is an S3 endpoint. */
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { type Archive, archive, redisKeys } from '../../src/compositions/archive/index.ts';
import { s3 } from '../../src/drivers/s3/index.ts';
import { findEngine } from '../../test/support/find-engine.ts';
import { startS3 } from '../../test/support/s3-server.ts';
import { inFlight } from '../lib/in-flight.ts';
import { type Contender, compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import { NotHere, type Report } from '../lib/row.ts';
import { scaled } from '../lib/scaled.ts';

const KEYS = scaled(500);
const ROUNDS = 7;
const BUCKET = `bench-${crypto.randomUUID()}`;

/** What the part is given. */
export interface S3Part {
  readonly redisUrl: string;
  /** Of the one who measures. */
  readonly redis: Redis;
  readonly writers: number;
  /** Writes keys, marked by nobody. */
  fill(names: readonly string[]): Promise<void>;
}

/** Names that no other round has. */
const named = (of: string, round: number): string[] =>
  Array.from({ length: KEYS }, (_, n) => `${of}:${round}:${n}`);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** What an application would write by itself: what DUMP gives is put, and restored from there. */
function bare({ redis, writers, fill }: S3Part, client: S3Client): [Contender, Contender] {
  const freeze = async (name: string): Promise<void> => {
    const Body = await redis.dumpBuffer(name);
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: name, Body }));
  };
  const bringBack = async (name: string): Promise<void> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: name }));
    const payload = (await Body?.transformToByteArray()) ?? new Uint8Array(0);
    await redis.restore(name, 0, Buffer.from(payload));
  };
  const all = (names: readonly string[], one: (name: string) => Promise<void>): Promise<void> =>
    inFlight(writers, names.length, (i) => one(names[i] as string));
  return [
    {
      name: 'DUMP and PutObject',
      operations: KEYS,
      async run(round) {
        const names = named('bare', round);
        await fill(names);
        return timed(() => all(names, freeze));
      },
    },
    {
      name: 'GetObject and RESTORE',
      operations: KEYS,
      async run(round) {
        const names = named('bare', round);
        await redis.del(names);
        return timed(() => all(names, bringBack));
      },
    },
  ];
}

function archived({ fill }: S3Part, safe: Archive): [Contender, Contender] {
  return [
    {
      name: 'freeze',
      operations: KEYS,
      async run(round) {
        const names = named('own', round);
        await fill(names);
        await safe.dirty(...names);
        let frozen = 0;
        const tookMs = await timed(async () => {
          ({ frozen } = await safe.drain());
        });
        if (frozen !== KEYS) throw new Error(`${frozen} of ${KEYS} keys were frozen`);
        return tookMs;
      },
    },
    {
      name: 'bring back',
      operations: KEYS,
      async run(round) {
        const names = named('own', round);
        const { evicted } = await safe.evict(...names);
        if (evicted !== KEYS) throw new Error(`${evicted} of ${KEYS} keys were evicted`);
        return timed(() => safe.ensure(...names));
      },
    },
  ];
}

/** Freezes new keys and brings them back, beside DUMP and PutObject by the same client. */
export async function archiveInS3(part: S3Part, report: Report): Promise<void> {
  const engine = findEngine('radosgw');
  if ('missing' in engine)
    throw new NotHere(`freezing to S3, for want of an endpoint: ${engine.missing}`);
  const server = await startS3();
  const client = server.client();
  const cold = s3({ client, bucket: BUCKET, timeoutMs: 60_000 });
  const namespace = 'bench-s3';
  const hot = redisKeys(new Redis(part.redisUrl, { lazyConnect: true }), { namespace });
  const safe = archive({ hot, cold, concurrency: part.writers, throttleMs: 0 });
  try {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const [freeze, bringBack] = archived(part, safe);
    const [put, restore] = bare(part, client);
    const result = await compare([freeze, put, bringBack, restore], ROUNDS);
    const unit = 'keys/s';
    const least = 0.6;
    const there = { own: 'freeze', against: 'DUMP and PutObject' };
    report(rateRow(result, { name: 'freeze to S3, 1 KB', unit, ...there, least }));
    const back = { own: 'bring back', against: 'GetObject and RESTORE' };
    report(rateRow(result, { name: 'bring back from S3, 1 KB', unit, ...back, least }));
  } finally {
    await safe.close();
    await cold.close();
    client.destroy();
    await server.stop();
  }
}
