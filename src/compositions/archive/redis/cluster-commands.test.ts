/** Commands of all kinds on a bare client of a node and on an archived one of its cluster: replies and data are the same. */
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { type RedisCluster, startRedisCluster } from '../../../../test/support/redis-cluster.ts';
import { FIXTURES, KEYS, sampleCalls } from '../../../../test/support/redis-samples.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { slotOf } from '../cluster/hash-slots.ts';
import { slotKeys } from '../cluster/slot-scripts.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import { archivedRedis } from './index.ts';

const names = new Map(KEYS.map((key) => [key, `{k}${key}`]));
const OWN = [...names.values()];
const SLOT = slotOf(Buffer.from('{k}'));
const MARKS = slotKeys('strata-archive', SLOT)[1] as string;

const inSlot = (words: readonly string[]): string[] => words.map((word) => names.get(word) ?? word);

type Dumps = readonly { readonly key: Buffer; readonly payload: Buffer; readonly expiry: string }[];

describeWithEngine('redis-server', 'archivedRedis in a cluster, command by command', () => {
  let cluster: RedisCluster;
  let bare: Redis;
  let pattern: Cluster;
  let kv: Cluster;
  let safe: Archive;
  let hot: Dumps;
  let evicted: Dumps;

  beforeAll(async () => {
    cluster = await startRedisCluster(['--enable-debug-command', 'local']);
    bare = new Redis((await cluster.owner(SLOT)).port);
    pattern = new Cluster([...cluster.urls]);
    safe = archive({ hot: redisKeys(pattern), cold: memory<Uint8Array>(), throttleMs: 0 });
    kv = archivedRedis(new Cluster([...cluster.urls]), { archive: safe });
    for (const call of FIXTURES) await outcome(bare, inSlot(call.split(' ')));
    const there: string[] = [];
    for (const key of OWN) if ((await bare.exists(key)) === 1) there.push(key);
    await safe.dirty(...there);
    await safe.drain();
    hot = await dumps();
    expect(await safe.evict(...there)).toMatchObject({ evicted: there.length });
    evicted = await dumps();
  });
  afterAll(async () => {
    await safe.close();
    for (const client of [kv, pattern, bare]) client.disconnect();
    await cluster.stop();
  });

  async function outcome(client: Redis | Cluster, [name, ...rest]: string[]): Promise<unknown> {
    return (client as Redis)
      .callBuffer(name as string, rest)
      .catch((error: Error) => ({ error: error.message }));
  }

  async function dumps(): Promise<Dumps> {
    const keys = await bare.keysBuffer('*');
    return Promise.all(
      keys.map(async (key) => ({
        key,
        payload: (await bare.dumpBuffer(key)) as Buffer,
        expiry: String(Math.max(0, await bare.pexpiretime(key))),
      })),
    );
  }

  /** The state before the next call. */
  async function reset(to: Dumps): Promise<void> {
    const pipeline = bare.pipeline();
    pipeline.flushall();
    for (const { key, payload, expiry } of to)
      pipeline.call('RESTORE', [key, expiry, payload, 'ABSTTL']);
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  }

  async function state(): Promise<Record<string, string>> {
    // Digests are made of expired keys too, while they are there.
    await bare.exists(...OWN);
    const pipeline = bare.pipeline();
    for (const key of OWN) pipeline.call('DEBUG', 'DIGEST-VALUE', key);
    const digests = ((await pipeline.exec()) ?? []).map(([, value]) => String(value));
    return Object.fromEntries(OWN.map((key, at) => [key, digests[at] as string]));
  }

  it('replies and data are those of the bare client', async () => {
    const differing: unknown[] = [];
    for (const call of sampleCalls()) {
      const words = inSlot(call);
      await reset(hot);
      const before = await state();
      const wanted = await outcome(bare, words);
      const after = await state();
      for (const [name, dumped] of Object.entries({ hot, evicted })) {
        await reset(dumped);
        const given = await outcome(kv, words);
        const marked = await bare.hkeys(MARKS);
        await safe.ensure(...OWN);
        const data = await state();
        const changed = OWN.filter((key) => before[key] !== after[key]);
        try {
          expect(given, 'reply').toEqual(wanted);
          expect(data, 'data').toEqual(after);
          expect(marked).toEqual(expect.arrayContaining(changed));
        } catch (error) {
          differing.push([words.join(' '), name, wanted, given, String(error)]);
        }
      }
    }
    expect(differing).toEqual([]);
  }, 120_000);
});
