/** Rebuilding at any time, beside writers, workers, deletes and failures of the cold store, against a plain map. */
import fc from 'fast-check';
import type { RedisClientType } from 'redis';
import { expect, it } from 'vitest';
import { ArchiveServer, makeDue } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { memory } from '../../drivers/memory/index.ts';
import { FaultPlan, faulty } from '../../testing/index.ts';
import { type Archive, archive, redisKeys } from './index.ts';
import type { ValueForm } from './logical/taken.ts';

const KEYS = ['a', 'b', 'c'];
const WORK = ['drain', 'evict', 'rebuild', 'rebuild and restore', 'fail', 'late'] as const;

interface Step {
  readonly what: 'write' | 'forget' | 'ensure' | 'lose all' | (typeof WORK)[number];
  readonly key: number;
  readonly worker: number;
  readonly fault: 'read' | 'commit' | 'scan' | 'answer';
}

const stepOf = (...whats: readonly Step['what'][]): fc.Arbitrary<Step> =>
  fc.record({
    what: fc.constantFrom(...whats),
    key: fc.nat(KEYS.length - 1),
    worker: fc.nat(1),
    fault: fc.constantFrom<Step['fault']>('read', 'commit', 'scan', 'answer'),
  });
/** One step of the application, others of workers at the same time. */
const groups = fc.array(
  fc.tuple(
    stepOf('write', 'write', 'forget', 'ensure', 'lose all', ...WORK),
    stepOf(...WORK),
    stepOf(...WORK),
  ),
  { minLength: 1, maxLength: 12 },
);

const EXPECTED = new Set(['unavailable', 'unknown-outcome', 'conflict']);

/** Two archives over one Redis and one cold store, used again and again. */
class World {
  readonly #plan = new FaultPlan();
  readonly #cold = memory<Uint8Array>();
  readonly #archives: readonly Archive[];
  readonly #client: RedisClientType;
  readonly #expected = new Map<string, string>();
  readonly #late: Promise<void>[] = [];
  #written = 0;

  constructor(client: RedisClientType, url: string, form: ValueForm) {
    this.#client = client;
    const cold = faulty(this.#cold, this.#plan);
    this.#archives = [0, 1].map(() => {
      const hot = redisKeys(redisClients['node-redis'](url).client, { form });
      return archive({ hot, cold, throttleMs: 0 });
    });
  }

  async #take({ what, key: at, worker, fault }: Step): Promise<void> {
    const key = KEYS[at] as string;
    const one = this.#archives[worker] as Archive;
    if (what === 'fail' && fault === 'answer')
      this.#plan.failNext('commit', undefined, { applied: true });
    else if (what === 'fail') this.#plan.failNext(fault as 'read');
    else if (what === 'late') {
      // Reads now, goes on after the next steps.
      this.#plan.hangNext('read', { applied: true });
      this.#late.push(tolerant(one.rebuildIndex()));
    } else if (what === 'drain') await tolerant(one.drain());
    else if (what === 'evict') await tolerant(one.evict(...KEYS));
    else if (what === 'ensure') await tolerant(one.ensure(key));
    else if (what === 'write') await this.#write(one, key);
    else if (what === 'lose all') await this.#loseAll(one);
    else if (what === 'forget') {
      this.#expected.delete(key);
      await tolerant(one.forget(key));
    } else await tolerant(one.rebuildIndex({ restore: what === 'rebuild and restore' }));
  }

  async #write(one: Archive, key: string): Promise<void> {
    const value = `v${this.#written++}`;
    this.#expected.set(key, value);
    await this.#client.set(key, value);
    await one.dirty(key).catch(() => undefined);
  }

  /** After everything has reached the cold store, so that it is known what comes back. */
  async #loseAll(one: Archive): Promise<void> {
    await this.#settled();
    for (let round = 0; round < 3; round++) {
      await makeDue(this.#client);
      expect((await one.drain()).failed).toEqual([]);
    }
    await one.dirty(...this.#expected.keys()).catch(() => undefined);
    await one.drain();
    await this.#client.flushAll();
    await one.rebuildIndex();
  }

  async #settled(): Promise<void> {
    this.#plan.heal();
    await Promise.all(this.#late.splice(0));
  }

  /** Takes steps at once, and lets what hangs go on when the others had time to pass it. */
  async together(steps: readonly Step[]): Promise<void> {
    const timer = setInterval(() => this.#plan.release(), 4);
    try {
      await Promise.all(steps.map((one) => this.#take(one)));
      await Promise.all(this.#late.splice(0));
    } finally {
      clearInterval(timer);
    }
  }

  async check(): Promise<void> {
    await this.#settled();
    const [one] = this.#archives as [Archive];
    await one.ensure(...KEYS);
    const wanted = KEYS.map((key) => this.#expected.get(key) ?? null);
    expect(await this.#client.mGet(KEYS)).toEqual(wanted);
    for (let round = 0; round < 3; round++) {
      await makeDue(this.#client);
      expect((await one.drain()).failed).toEqual([]);
      await one.evict(...KEYS);
    }
    const { differences, missing } = await one.verify();
    expect({ differences, missing }).toEqual({ differences: [], missing: 0 });
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: this.#expected.size });
    await this.#client.flushAll();
    await one.rebuildIndex({ restore: true });
    expect(await this.#client.mGet(KEYS)).toEqual(wanted);
  }

  async begin(): Promise<void> {
    this.#plan.heal();
    this.#expected.clear();
    await this.#client.flushAll();
    await this.#cold.clear();
  }

  async close(): Promise<void> {
    await Promise.all(this.#archives.map((one) => one.close()));
  }
}

async function tolerant(work: Promise<unknown>): Promise<void> {
  await work.catch((error: { code?: string }) => {
    if (!EXPECTED.has(error.code ?? '')) throw error;
  });
}

describeWithEngine('redis-server', 'an archive that is rebuilt at any time, as a map', () => {
  const on = new ArchiveServer();

  it('loses nothing and resurrects nothing', async () => {
    const worlds = (['both', 'dump'] as const).map((form) => new World(on.client, on.url, form));
    const property = fc.asyncProperty(groups, fc.constantFrom(...worlds), async (all, world) => {
      await world.begin();
      for (const [first, ...others] of all)
        await world.together(first.what === 'lose all' ? [first] : [first, ...others]);
      await world.check();
    });
    try {
      await fc.assert(property, { numRuns: 100 });
    } finally {
      await Promise.all(worlds.map((world) => world.close()));
    }
  }, 120_000);
});
