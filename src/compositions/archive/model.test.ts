/** Writers, two workers, evictions, deletes and failures of the cold store, against a plain map. */
import fc from 'fast-check';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeDue } from '../../../test/support/archive-world.ts';
import { describeWithEngine, type RedisServer, startRedis } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { memory } from '../../drivers/memory/index.ts';
import { FaultPlan, faulty } from '../../testing/index.ts';
import { type Archive, archive, redisKeys } from './index.ts';

const KEYS = ['a', 'b', 'c'];

interface Step {
  readonly what: 'write' | 'write unmarked' | 'forget' | 'ensure' | 'drain' | 'evict' | 'fail';
  readonly key: number;
  readonly worker: number;
  readonly fault: 'read' | 'commit' | 'answer';
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom<Step['what']>(
    'write',
    'write',
    'write unmarked',
    'forget',
    'ensure',
    'drain',
    'drain',
    'evict',
    'evict',
    'fail',
  ),
  key: fc.nat(KEYS.length - 1),
  worker: fc.nat(1),
  fault: fc.constantFrom<Step['fault']>('read', 'commit', 'answer'),
});

/** Errors that the failures of the cold store explain. */
const EXPECTED = new Set(['unavailable', 'unknown-outcome', 'conflict']);

class World {
  readonly plan: FaultPlan = new FaultPlan();
  readonly workers: readonly Archive[];
  readonly #client: RedisClientType;
  readonly #expected = new Map<string, string>();
  #written = 0;

  constructor(client: RedisClientType, url: string) {
    this.#client = client;
    const cold = faulty(memory<Uint8Array>(), this.plan);
    this.workers = [0, 1].map(() =>
      // A lease that ends at once: workers take from one another all the time.
      archive({
        hot: redisKeys(redisClients['node-redis'](url).client),
        cold,
        throttleMs: 0,
        leaseMs: 1,
      }),
    );
  }

  async run({ what, key: at, worker, fault }: Step): Promise<void> {
    const key = KEYS[at] as string;
    const one = this.workers[worker] as Archive;
    if (what === 'fail') this.#fail(fault);
    else if (what === 'drain') await tolerant(one.drain());
    else if (what === 'evict') await tolerant(one.evict(...KEYS));
    else if (what === 'ensure') await tolerant(one.ensure(key));
    else if (what === 'forget') {
      this.#expected.delete(key);
      await tolerant(one.forget(key));
    } else await this.#write(one, key, what === 'write');
  }

  async #write(one: Archive, key: string, marked: boolean): Promise<void> {
    const value = `v${this.#written++}`;
    this.#expected.set(key, value);
    await this.#client.set(key, value);
    // A worker may have evicted it since.
    if (marked) await one.dirty(key).catch(() => undefined);
  }

  #fail(fault: Step['fault']): void {
    if (fault === 'answer') this.plan.failNext('commit', undefined, { applied: true });
    else this.plan.failNext(fault);
  }

  /** Evicted and brought back, every key has what was written last; what was forgotten stays away. */
  async check(): Promise<void> {
    this.plan.heal();
    const [one] = this.workers as [Archive];
    await one.ensure(...KEYS);
    await this.#compare('brought back');
    for (let round = 0; round < 3; round++) {
      await makeDue(this.#client);
      expect((await one.drain()).failed).toEqual([]);
      await one.evict(...KEYS);
    }
    expect(await one.stats()).toMatchObject({
      dirty: 0,
      oldestMarkMs: 0,
      evicted: this.#expected.size,
    });
    expect(await this.#client.exists(KEYS)).toBe(0);
    await one.ensure(...KEYS);
    await this.#compare('evicted and brought back');
  }

  async #compare(when: string): Promise<void> {
    const found = await this.#client.mGet(KEYS);
    const wanted = KEYS.map((key) => this.#expected.get(key) ?? null);
    expect(found, when).toEqual(wanted);
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((one) => one.close()));
    await this.#client.flushAll();
  }
}

async function tolerant(work: Promise<unknown>): Promise<void> {
  await work.catch((error: { code?: string }) => {
    if (!EXPECTED.has(error.code ?? '')) throw error;
  });
}

describeWithEngine('redis-server', 'archive, as a map', () => {
  let server: RedisServer;
  let client: RedisClientType;
  beforeAll(async () => {
    server = await startRedis();
    client = createClient({ url: server.url });
    await client.connect();
  });
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });

  it('loses nothing and resurrects nothing, whatever fails and whoever works', async () => {
    // Steps of one group run at once: one by the application, the others by workers.
    const groups = fc.array(fc.tuple(step, step, step), { minLength: 1, maxLength: 12 });
    const isWork = ({ what }: Step): boolean => ['drain', 'evict', 'fail'].includes(what);
    await fc.assert(
      fc.asyncProperty(groups, async (all) => {
        const world = new World(client, server.url);
        try {
          for (const [first, ...others] of all)
            await Promise.all([first, ...others.filter(isWork)].map((one) => world.run(one)));
          await world.check();
        } finally {
          await world.end();
        }
      }),
      { numRuns: 150 },
    );
  });
});
