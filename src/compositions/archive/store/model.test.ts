/** Writers, two archives, evictions, expiry, deletes and failures of both stores, against a plain map. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { UNOWNED } from '../../../../test/support/archive-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { seal } from '../../../layers/sealed/index.ts';
import type { Store } from '../../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../../testing/index.ts';
import { ColdObjects, DELETED, type Found } from '../cold-objects.ts';
import { namedBytes } from '../hot-key.ts';
import { type Archive, archive, storeKeys } from '../index.ts';

const KEYS = ['a', 'b', 'c'];

interface ModelStep {
  readonly what:
    | 'write'
    | 'write unmarked'
    | 'write expiring'
    | 'forget'
    | 'ensure'
    | 'drain'
    | 'evict'
    | 'fail';
  readonly key: number;
  readonly worker: number;
  readonly fault: 'cold read' | 'cold commit' | 'cold answer' | 'hot commit' | 'hot answer';
  readonly ms: number;
}

const step: fc.Arbitrary<ModelStep> = fc.record({
  what: fc.constantFrom<ModelStep['what']>(
    ...(['write', 'write', 'write unmarked', 'write expiring', 'forget', 'ensure'] as const),
    ...(['drain', 'drain', 'evict', 'evict', 'fail'] as const),
  ),
  key: fc.nat(KEYS.length - 1),
  worker: fc.nat(1),
  fault: fc.constantFrom<ModelStep['fault']>(
    'cold read',
    'cold commit',
    'cold answer',
    'hot commit',
    'hot answer',
  ),
  ms: fc.nat(100),
});

/** Steps of one group run at once: one by the application, the others by workers. */
const groups = fc.array(fc.tuple(step, step, step), { minLength: 1, maxLength: 12 });
const isWork = ({ what }: ModelStep): boolean =>
  ['drain', 'evict', 'ensure', 'fail'].includes(what);

/** Errors that the failures of the stores explain. */
const EXPECTED = new Set(['unavailable', 'unknown-outcome', 'conflict']);

class World {
  readonly #env: SimulatedEnv = simulatedEnv();
  readonly #hot: Store<Uint8Array> = memory({ env: this.#env });
  readonly #cold: Store<Uint8Array> = memory({ env: this.#env });
  /** One for each archive: the second is slower. */
  readonly #hotPlans: readonly FaultPlan[] = [1, 6].map((ms) =>
    new FaultPlan().delay('commit', ms).delay('read', 2),
  );
  readonly #coldPlan = new FaultPlan();
  readonly #archives: readonly Archive[];
  readonly #expected = new Map<string, { readonly value: string; readonly expiresAt: number }>();
  readonly #unmarked = new Set<string>();
  #written = 0;
  #leapMs = 1;

  constructor() {
    this.#coldPlan.delay('read', 2).delay('commit', 4);
    const cold = faulty(this.#cold, this.#coldPlan);
    // A short lease: workers take from one another.
    this.#archives = this.#hotPlans.map((plan) => {
      // Time passes here while nothing is done.
      const hot = storeKeys(faulty(this.#hot, plan), { timeoutMs: 1e9 });
      return archive({ hot, cold, coldTimeoutMs: 1e9, throttleMs: 0, leaseMs: 300 });
    });
  }

  async run(all: readonly (readonly ModelStep[])[]): Promise<void> {
    await this.#passing(this.#begin());
    for (const [first, ...others] of all) {
      const together = [first as ModelStep, ...others.filter(isWork)];
      await this.#passing(Promise.all(together.map((one) => this.#step(one))));
      await this.#env.advance((first as ModelStep).ms * 5);
    }
    await this.#passing(this.#check());
  }

  /** All keys are evicted at first. */
  async #begin(): Promise<void> {
    const [one] = this.#archives as [Archive];
    for (const key of KEYS) await this.#write(one, key, 'write', 0);
    await one.drain();
    expect(await one.evict(...KEYS)).toEqual({ evicted: KEYS.length, kept: [] });
  }

  /** Lets time pass until a promise is settled. */
  async #passing(work: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    done.catch(() => undefined);
    for (let turns = 0; !isDone; turns++) {
      if (turns > 5_000) throw new Error('it comes to no end');
      await new Promise((resolve) => setImmediate(resolve));
      await this.#env.advance(this.#leapMs);
    }
    await done;
  }

  async #step({ what, key: at, worker, fault, ms }: ModelStep): Promise<void> {
    const key = KEYS[at] as string;
    const one = this.#archives[worker] as Archive;
    await new Promise<void>((resolve) => this.#env.setTimer(resolve, ms % 16));
    if (what === 'fail') this.#fail(fault, worker);
    else if (what === 'drain') await tolerant(one.drain());
    else if (what === 'evict') await tolerant(one.evict(...KEYS));
    else if (what === 'ensure') await tolerant(one.ensure(key));
    else if (what === 'forget') {
      this.#expected.delete(key);
      await insistent(() => one.forget(key));
    } else await this.#write(one, key, what, ms);
  }

  async #write(one: Archive, key: string, what: ModelStep['what'], ms: number): Promise<void> {
    const value = `v${this.#written++}`;
    const ttlMs = what === 'write expiring' ? (ms % 2 === 0 ? 500 + 5 * ms : 1e9) : undefined;
    const expiresAt = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.#env.now() + ttlMs;
    this.#expected.set(key, { value, expiresAt });
    if (what === 'write unmarked') this.#unmarked.add(key);
    else this.#unmarked.delete(key);
    const bytes = new TextEncoder().encode(value);
    await this.#hot.set(key, bytes, ttlMs === undefined ? {} : { expiresAt });
    // A worker may have evicted it since.
    if (what !== 'write unmarked')
      await insistent(() =>
        one.dirty(key).catch((error: { code?: string }) => {
          if (error.code !== 'invalid-argument') throw error;
        }),
      );
  }

  #fail(fault: ModelStep['fault'], worker: number): void {
    const plan = fault.startsWith('hot') ? (this.#hotPlans[worker] as FaultPlan) : this.#coldPlan;
    if (fault.endsWith('answer')) plan.failNext('commit', undefined, { applied: true });
    else plan.failNext(fault === 'cold read' ? 'read' : 'commit');
  }

  /** Evicted and brought back, every key has what was written last; what was forgotten stays away. */
  async #check(): Promise<void> {
    for (const plan of this.#hotPlans) plan.heal();
    this.#coldPlan.heal();
    const [one] = this.#archives as [Archive];
    await this.#drained(one);
    await this.#compareFrozen();
    await one.ensure(...KEYS);
    await this.#compare('brought back');
    for (let round = 0; round < 3; round++) {
      await this.#drained(one);
      await one.evict(...KEYS);
    }
    await this.#drained(one);
    expect(await one.stats()).toMatchObject({ dirty: 0, failing: 0, oldestMarkMs: 0 });
    const there = KEYS.filter((key) => this.#isCurrent(key)).length;
    expect((await one.stats()).evicted).toBeGreaterThanOrEqual(there);
    expect(await Array.fromAsync(this.#hot.keys())).toEqual([]);
    await one.ensure(...KEYS);
    await this.#compare('evicted and brought back');
    expect((await one.stats()).evicted).toBe(0);
  }

  async #drained(one: Archive): Promise<void> {
    for (let tries = 0; (await one.stats()).dirty > 0; tries++) {
      expect((await one.drain()).failed).toEqual([]);
      // Beyond every wait before another try.
      this.#leapMs = 60_000;
      await new Promise<void>((resolve) => this.#env.setTimer(resolve, this.#leapMs));
      this.#leapMs = 1;
      expect(tries).toBeLessThan(100);
    }
  }

  /** What was marked is frozen as it is; of what was forgotten a tombstone is left. */
  async #compareFrozen(): Promise<void> {
    const objects = new ColdObjects(this.#cold, seal(), 'strata-archive', 1e9, UNOWNED);
    for (const [key, { value, expiresAt }] of this.#expected) {
      if (this.#unmarked.has(key) || expiresAt <= this.#env.now()) continue;
      const { object } = (await objects.find(namedBytes(Buffer.from(key)))) as Found;
      expect(Buffer.from(object?.payload ?? []).toString(), 'frozen').toContain(value);
    }
    for (const key of KEYS.filter((one) => !this.#expected.has(one))) {
      const { object } = (await objects.find(namedBytes(Buffer.from(key)))) as Found;
      expect(object?.type, 'forgotten').toBe(DELETED);
    }
  }

  #isCurrent(key: string): boolean {
    return (this.#expected.get(key)?.expiresAt ?? 0) > this.#env.now();
  }

  async #compare(when: string): Promise<void> {
    for (const key of KEYS) {
      const entry = await this.#hot.getEntry(key);
      const wanted = this.#isCurrent(key) ? this.#expected.get(key) : undefined;
      expect(entry && new TextDecoder().decode(entry.value), when).toBe(wanted?.value);
      const { expiresAt = Number.POSITIVE_INFINITY } = entry ?? {};
      if (wanted !== undefined) expect(expiresAt, when).toBe(wanted.expiresAt);
    }
  }
}

async function tolerant(work: Promise<unknown>): Promise<void> {
  await work.catch((error: { code?: string }) => {
    if (!EXPECTED.has(error.code ?? '')) throw error;
  });
}

/** Again until it succeeds: each planned failure strikes once. */
async function insistent<R>(work: () => Promise<R>): Promise<R> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!EXPECTED.has((error as { code?: string }).code ?? '')) throw error;
    }
  }
}

/** Digests at once: what the host computes elsewhere would take simulated time, each time another. */
function digestAtOnce(): void {
  vi.spyOn(crypto.subtle, 'digest').mockImplementation(
    async (_, data) =>
      Uint8Array.from(
        createHash('sha256')
          .update(data as Uint8Array)
          .digest(),
      ).buffer,
  );
}

const property = fc.asyncProperty(groups, (all) => new World().run(all));

beforeAll(digestAtOnce);
afterAll(() => vi.restoreAllMocks());

it('loses nothing and resurrects nothing, whatever fails and whoever works', async () => {
  await fc.assert(property, { numRuns: 300 });
}, 120_000);
