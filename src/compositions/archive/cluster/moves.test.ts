/** Writers, workers, evictions and deletes while slots move key by key, against a plain map. */
import fc from 'fast-check';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../../../test/support/redis-cluster.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import { slotOf, tagOf } from './hash-slots.ts';

const KEYS = ['{a}1', '{a}2', '{b}1', 'c'];
/** Where marks of these keys are. */
const MARKS = [...new Set(KEYS.map((key) => slotOf(Buffer.from(key))))].map(
  (slot) => `strata-archive:{${tagOf(slot)}}:marks`,
);
/** What a step says that took too long. */
const GIVEN_UP = ['unavailable', 'timeout', 'unknown-outcome'];
const SLOT = slotOf(Buffer.from('{a}'));

interface Step {
  readonly what: 'write' | 'write unmarked' | 'forget' | 'ensure' | 'drain' | 'evict' | 'move';
  readonly key: number;
  readonly worker: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom<Step['what']>(
    ...(['write', 'write unmarked', 'forget', 'ensure', 'drain', 'drain'] as const),
    ...(['evict', 'evict', 'move', 'move', 'move'] as const),
  ),
  key: fc.nat(KEYS.length - 1),
  worker: fc.nat(1),
});
const groups = fc.array(fc.tuple(step, step), { minLength: 4, maxLength: 16 });

describeWithEngine('redis-server', 'archive over slots that move', () => {
  let cluster: RedisCluster;
  let app: Cluster;
  let workers: readonly Archive[];
  /** One that has time. */
  let calm: Archive;
  const cold = memory<Uint8Array>();
  const expected = new Map<string, string>();
  /** Where the slot is about to move to. */
  let movingTo: ClusterNode | undefined;
  let written = 0;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    app = new Cluster([...cluster.urls]);
    // So short that a step on a slot that is half moved gives up.
    const hot = { timeoutMs: 300 };
    const options = { cold, throttleMs: 0, leaseMs: 300 };
    workers = [0, 1].map(() => archive({ hot: redisKeys(app, hot), ...options }));
    calm = archive({ hot: redisKeys(app), ...options });
  });
  afterAll(async () => {
    await Promise.all([calm, ...workers].map((one) => one.close()));
    app.disconnect();
    await cluster.stop();
  });

  async function run({ what, key: at, worker }: Step): Promise<void> {
    const key = KEYS[at] as string;
    const one = workers[worker] as Archive;
    if (what === 'move') await move();
    else if (what === 'drain') await tolerant(one.drain());
    else if (what === 'evict') await tolerant(one.evict(...KEYS));
    else if (what === 'ensure') await tolerant(one.ensure(key));
    else if (what === 'forget') await forget(one, key);
    else await write(one, key, what === 'write');
  }

  /** By one part of a move: its beginning, a key, its end. */
  async function move(): Promise<void> {
    if (movingTo === undefined) {
      const owner = await cluster.owner(SLOT);
      movingTo = cluster.nodes.find((node) => node !== owner) as ClusterNode;
      await cluster.beginMove(SLOT, movingTo);
    } else if ((await cluster.moveKeys(SLOT, movingTo, 1)) === 0) {
      const to = movingTo;
      movingTo = undefined;
      await cluster.endMove(SLOT, to);
    }
  }

  async function write(one: Archive, key: string, isMarked: boolean): Promise<void> {
    const value = `v${written++}`;
    expected.set(key, value);
    await app.set(key, value);
    if (isMarked) await tolerant(one.dirty(key), 'invalid-argument');
  }

  async function forget(one: Archive, key: string): Promise<void> {
    // While it cannot be done, or nobody knows, it is asked for again.
    const isDone = await one.forget(key).then(
      () => true,
      (error: { code?: string }) => {
        expect(GIVEN_UP).toContain(error.code);
        return false;
      },
    );
    if (isDone) expected.delete(key);
    else await move().then(() => forget(one, key));
  }

  async function check(): Promise<void> {
    while (movingTo !== undefined) await move();
    const one = calm;
    await one.ensure(...KEYS);
    await compare('brought back');
    for (let round = 0; round < 3; round++) {
      await expect
        .poll(
          async () => {
            await one.drain();
            return (await Promise.all(MARKS.map((key) => app.exists(key)))).join('');
          },
          { timeout: 20_000 },
        )
        .toBe('000');
      await one.evict(...KEYS);
    }
    for (const key of KEYS) expect(await app.exists(key)).toBe(0);
    await one.ensure(...KEYS);
    await compare('evicted and brought back');
  }

  async function compare(when: string): Promise<void> {
    for (const key of KEYS) expect(await app.get(key), when).toBe(expected.get(key) ?? null);
  }

  it('loses nothing and resurrects nothing', async () => {
    await fc.assert(
      fc.asyncProperty(groups, async (all) => {
        for (const { client } of cluster.nodes) await client.flushAll();
        await cold.clear();
        expected.clear();
        for (const [first, second] of all)
          await Promise.all([first, ...(isWork(second) ? [second] : [])].map(run));
        await check();
      }),
      { numRuns: 4, endOnFailure: true },
    );
  }, 120_000);
});

const isWork = ({ what }: Step): boolean => ['drain', 'evict'].includes(what);

/** A step on a slot that is half moved, and what others do at the same time. */
async function tolerant(work: Promise<unknown>, ...more: readonly string[]): Promise<void> {
  await work.catch((error: { code?: string }) => {
    expect(['conflict', ...GIVEN_UP, ...more]).toContain(error.code);
  });
}
