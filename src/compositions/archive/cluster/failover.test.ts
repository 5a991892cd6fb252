/** A replica takes the place of a master, while there are writers, workers and those that ask. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { createClient } from 'redis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../../../test/support/redis-cluster.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import { archivedRedis } from '../redis/index.ts';
import { slotOf } from './hash-slots.ts';

/** Of slots of the master that fails, and one of another. */
const SET = ['{a}1', '{a}2', '{a}3'];
const COUNTED = ['{a}4', '{a}5', 'other'];
const SLOT = slotOf(Buffer.from('{a}'));
/** What a step says that was under way, or came before the replica was promoted. */
const LOST = ['unavailable', 'timeout', 'unknown-outcome'];

type Direct = ReturnType<typeof createClient>;

/** A connection that ends with its server. */
async function directTo({ port }: ClusterNode): Promise<Direct> {
  const client = createClient({
    socket: { host: '127.0.0.1', port, reconnectStrategy: false },
    disableOfflineQueue: true,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client as Direct;
}

async function tolerant<T>(step: Promise<T>): Promise<T | undefined> {
  return step.catch((error: { code?: string }) => {
    expect(LOST).toContain(error.code);
    return undefined;
  });
}

describeWithEngine('redis-server', 'archive over a cluster whose master fails', () => {
  let cluster: RedisCluster;
  let app: Cluster;
  const ends: (() => Promise<void> | void)[] = [];

  beforeEach(async () => {
    cluster = await startRedisCluster(['--repl-diskless-sync-delay', '0']);
    app = new Cluster([...cluster.urls]);
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    app.disconnect();
    await cluster.stop();
  });

  it.each(['killed', 'demoted'])(
    'loses nothing that the replica had, and goes on: %s',
    async (how) => {
      const master = await cluster.owner(SLOT);
      const replica = await cluster.addReplica(master);
      const cold = memory<Uint8Array>();
      const made = (): Archive => {
        const hot = redisKeys(app, { timeoutMs: 2_000 });
        const one = archive({ hot, cold, throttleMs: 0, leaseMs: 300 });
        ends.push(() => one.close());
        return one;
      };
      const [one, worker] = [made(), made()];
      const kv = archivedRedis(new Cluster([...cluster.urls]), { archive: made() });
      ends.push(() => kv.disconnect());
      const direct = await directTo(master);
      let promoted: Direct | undefined;
      let isOver = false;
      /** What the replica had for certain, or what was acknowledged by it as the master. */
      const kept = new Map<string, number>();
      let evicted = 0;
      let last = 0;

      /** Whether all that was written there until now is where it is not lost. */
      async function isSafe(on: Direct): Promise<boolean> {
        if (on === promoted) return true;
        await on.set('{a}fence', '1');
        return Number(await on.sendCommand(['WAIT', '1', '500'])) === 1;
      }

      async function write(key: string): Promise<void> {
        const on = promoted ?? direct;
        const value = ++last;
        await one.ensure(key);
        await on.set(key, String(value));
        await one.dirty(key);
        if (await isSafe(on)) kept.set(key, value);
      }

      async function count(key: string): Promise<void> {
        const on = promoted ?? direct;
        const value = await kv.incr(key);
        // A master that is demoted has handed over all that it answered.
        if (key === 'other' || how === 'demoted' || (await isSafe(on))) kept.set(key, value);
      }

      const untilOver = async (step: () => Promise<unknown>): Promise<void> => {
        // With rests now and then, in which the workers find something to evict.
        for (let n = 1; !isOver; n++) {
          await step();
          if (n % 3 === 0) await sleep(80);
        }
      };
      const writes = (key: string): Promise<void> =>
        untilOver(() => write(key).catch((error: Error) => expectLost(error)));
      const counts = (key: string): Promise<void> =>
        untilOver(() => count(key).catch((error: Error) => expectLost(error)));
      const work = async (): Promise<void> => {
        while (!isOver) {
          await tolerant(worker.drain());
          evicted += (await tolerant(worker.evict(...SET, ...COUNTED)))?.evicted ?? 0;
        }
      };
      const under = [...SET.map(writes), ...COUNTED.map(counts), work()];
      ends.unshift(async () => {
        isOver = true;
        await Promise.all(under);
      });
      const progress = (): number =>
        Math.min(...[...SET, ...COUNTED].map((key) => kept.get(key) ?? 0));
      await expect.poll(() => progress() > 5 && evicted > 5, { timeout: 30_000 }).toBe(true);
      if (how === 'killed') {
        await cluster.kill(master);
        await replica.client.sendCommand(['CLUSTER', 'FAILOVER', 'TAKEOVER']);
      } else {
        // It is given up after five seconds where the machine is too busy: then it is asked for again.
        let askedMs = Number.NEGATIVE_INFINITY;
        const role = async (): Promise<unknown> => {
          if (performance.now() - askedMs > 6_000) {
            askedMs = performance.now();
            await replica.client.sendCommand(['CLUSTER', 'FAILOVER']);
          }
          return replica.client.sendCommand(['ROLE']);
        };
        await expect.poll(role, { timeout: 40_000 }).toContain('master');
      }
      const acknowledged = new Map(kept);
      const to = await directTo(replica);
      ends.push(() => to.destroy());
      promoted = to;
      await expect
        .poll(
          () => [...acknowledged].every(([key, value]) => (kept.get(key) as number) > value + 3),
          {
            timeout: 30_000,
          },
        )
        .toBe(true);
      isOver = true;
      await Promise.all(under);
      await one.ensure(...SET, ...COUNTED);
      const value = async (key: string): Promise<number> => Number(await app.get(key));
      for (const [key, least] of kept) expect(await value(key), key).toBeGreaterThanOrEqual(least);
      const before = await Promise.all([...SET, ...COUNTED].map(value));
      await expect
        .poll(
          async () => {
            await worker.drain();
            await worker.evict(...SET, ...COUNTED);
            return app.exists('{a}1', '{a}2', '{a}3', '{a}4', '{a}5');
          },
          { timeout: 20_000 },
        )
        .toBe(0);
      await one.ensure(...SET, ...COUNTED);
      expect(await Promise.all([...SET, ...COUNTED].map(value))).toEqual(before);
    },
    120_000,
  );
});

/** An error of the library, or that a direct connection has ended, or met a replica, also while it waited. */
function expectLost(error: Error & { code?: string }): void {
  if (
    /Socket closed|client is (closed|offline)|ECONN|Disconnects|MOVED|READONLY|UNBLOCKED/.test(
      error.message,
    )
  )
    return;
  expect(LOST, error.message).toContain(error.code);
}
