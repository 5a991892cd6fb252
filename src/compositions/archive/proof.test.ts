/**
 * Thousands of keys of all types, frozen to stores of each kind, evicted, and brought back:
 * `STRATAKV_ARCHIVE_KEYS=100000` takes so many.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { startDynamoDb } from '../../../test/support/dynamodb-server.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import {
  digestOf,
  type SampleKey,
  sampleKeys,
  writeSamples,
} from '../../../test/support/redis-values.ts';
import { S3Bucket } from '../../../test/support/s3-bucket.ts';
import { meddledClient } from '../../../test/support/s3-server.ts';
import { dynamodb } from '../../drivers/dynamodb/index.ts';
import { file } from '../../drivers/file/index.ts';
import { s3 } from '../../drivers/s3/index.ts';
import type { Store } from '../../store/store.ts';
import { redisKeys } from './index.ts';
import type { ValueForm } from './logical/taken.ts';

const asked = process.env.STRATAKV_ARCHIVE_KEYS;
const KEYS = Number(asked ?? 5_000);
/** What takes a request each, and some. */
const REMOTE_KEYS = Number(asked ?? 500);
const AT_ONCE = 1_000;
/** By DUMP and RESTORE, and by elements. */
const FORMS = ['dump', 'logical'] as const;
const TIMEOUT_MS = asked === undefined ? 240_000 : 3_600_000;

describeWithEngine('redis-server', 'archive, with keys of all types', () => {
  const on = new ArchiveServer();

  /** Everything goes to the cold store and comes back as it was. */
  async function proven(
    cold: Store<Uint8Array>,
    form: ValueForm,
    count: number,
    seed: number,
  ): Promise<void> {
    const hot = redisKeys(redisClients['node-redis'](on.url).client, { form });
    const { one } = on.world({ hot, cold, concurrency: 32 });
    const before = new Map<SampleKey, string>();
    for (const part of partsOf(sampleKeys(count, seed, Date.now()))) {
      await writeSamples(on.client, part);
      for (const [at, digest] of (await digestsOf(part)).entries()) {
        const { key, type } = part[at] as SampleKey;
        before.set({ key, type, commands: [] }, digest);
      }
      await one.dirty(...part.map(({ key }) => key));
      expect((await one.drain()).failed).toEqual([]);
    }
    const keys = [...before.keys()];
    for (const part of partsOf(keys)) {
      const outcome = await one.evict(...part.map(({ key }) => key));
      expect(outcome).toEqual({ evicted: part.length, kept: [] });
    }
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: count });
    expect(await on.client.exists(keys.slice(0, 10_000).map(({ key }) => key))).toBe(0);
    for (const part of partsOf(keys)) {
      await one.ensure(...part.map(({ key }) => key));
      expect(await digestsOf(part)).toEqual(part.map((key) => before.get(key)));
    }
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  }

  const digestsOf = (keys: readonly SampleKey[]): Promise<string[]> =>
    Promise.all(keys.map((key) => digestOf(on.client, key)));

  it.each(FORMS)(
    'brings back what went to files, by its form %s',
    async (form) => {
      const path = await mkdtemp(join(tmpdir(), 'archive-proof-'));
      const cold = file({ path });
      try {
        await proven(cold, form, KEYS, 11);
      } finally {
        await cold.close();
        await rm(path, { recursive: true });
      }
    },
    TIMEOUT_MS,
  );

  it.each(FORMS)(
    'brings back what went to DynamoDB, by its form %s',
    async (form) => {
      await using server = await startDynamoDb();
      const client = server.client();
      await using cold = dynamodb({ client, table: 'cold', create: true, timeoutMs: 60_000 });
      await proven(cold, form, REMOTE_KEYS, 12);
    },
    TIMEOUT_MS,
  );

  describeWithEngine('radosgw', 'in S3', () => {
    const there = new S3Bucket();

    it.each(FORMS)(
      'brings back what went there, by its form %s',
      async (form) => {
        const { client, name: bucket } = there;
        await using cold = s3({ client, bucket, prefix: form, timeoutMs: 60_000 });
        await proven(cold, form, REMOTE_KEYS, 13);
      },
      TIMEOUT_MS,
    );

    it('takes one request to put a new key, two to put it again, and one to bring it back', async () => {
      const asked: string[] = [];
      const client = meddledClient(there.server, ({ command, send }) => {
        asked.push(command);
        return send();
      });
      const prefix = crypto.randomUUID();
      await using cold = s3({ client, bucket: there.name, prefix });
      const { one } = on.world({ cold, concurrency: 8 });
      const keys = Array.from({ length: 50 }, (_, n) => `key ${n}`);
      const freeze = async (value: string): Promise<Record<string, number>> => {
        for (const key of keys) await on.client.set(key, value);
        await one.dirty(...keys);
        asked.length = 0;
        expect(await one.drain()).toMatchObject({ frozen: keys.length });
        return counted(asked);
      };
      // What the first one finds out: of the endpoint, and that keys are new.
      await on.frozen(one, 'first', 'v');
      expect(await freeze('new')).toEqual({ PutObjectCommand: 50 });
      expect(await freeze('again')).toEqual({ PutObjectCommand: 50, GetObjectCommand: 50 });
      await one.evict(...keys);
      asked.length = 0;
      await one.ensure(...keys);
      expect(counted(asked)).toEqual({ GetObjectCommand: 50 });
    }, 60_000);

    it('says denied for a wrong secret, unavailable for no bucket, and keeps all', async () => {
      const credentials = { accessKeyId: 'AK', secretAccessKey: 'wrong' };
      const { client, name: bucket, server } = there;
      const prefix = crypto.randomUUID();
      await using right = s3({ client, bucket, prefix });
      const { one, another } = on.world({ cold: right });
      await on.evicted(one, 'evicted', 'v');
      await on.client.set('hot', 'v');
      await one.dirty('hot');
      const wrongs: [string, Store<Uint8Array>][] = [
        ['denied', s3({ client: server.client({ credentials }), bucket, prefix })],
        ['unavailable', s3({ client, bucket: `${bucket}-not`, prefix })],
      ];
      for (const [code, cold] of wrongs) {
        const safe = another({ cold });
        await expect(safe.ensure('evicted')).rejects.toMatchObject({ code, key: 'evicted' });
        await on.makeDue();
        expect((await safe.drain()).failed).toMatchObject([{ key: 'hot', error: { code } }]);
        await expect(safe.rebuildIndex()).rejects.toMatchObject({ code });
        await expect(safe.verify()).rejects.toMatchObject({ code });
        await cold.close();
      }
      expect(await one.stats()).toMatchObject({ dirty: 1, evicted: 1 });
      await on.makeDue();
      expect(await one.drain()).toMatchObject({ frozen: 1 });
      await one.ensure('evicted');
      expect(await on.client.mGet(['hot', 'evicted'])).toEqual(['v', 'v']);
    }, 120_000);
  });
});

function counted(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

function* partsOf<T>(all: Iterable<T>): Generator<T[]> {
  let part: T[] = [];
  for (const one of all) {
    part.push(one);
    if (part.length === AT_ONCE) {
      yield part;
      part = [];
    }
  }
  if (part.length > 0) yield part;
}
