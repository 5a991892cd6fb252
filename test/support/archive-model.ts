/** Writers, workers, evictions, expiry, deletes and failures of the cold store, against a plain map. */
import fc from 'fast-check';
import { createClient, type RedisClientType } from 'redis';
import { expect } from 'vitest';
import { ColdObjects } from '../../src/compositions/archive/cold-objects.ts';
import { type Archive, archive, redisKeys } from '../../src/compositions/archive/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import type { NodeRedisClient } from '../../src/drivers/redis/index.ts';
import { seal } from '../../src/layers/sealed/index.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Store } from '../../src/store/store.ts';
import { FaultPlan } from '../../src/testing/index.ts';
import { makeDue, UNOWNED } from './archive-world.ts';
import { faultyCold } from './faulty-cold.ts';

const KEYS = ['a', 'b', 'c'];
const NAMESPACE = 'strata-archive';

/** One step of the application, of a worker, or of what fails. */
export interface ModelStep {
  readonly what:
    | 'write'
    | 'write unmarked'
    | 'write in a transaction'
    | 'write expiring'
    | 'change the expiry'
    | 'forget'
    | 'ensure'
    | 'drain'
    | 'evict'
    | 'drain late'
    | 'ensure late'
    | 'evict late'
    | 'leases end'
    | 'fail';
  readonly key: number;
  readonly worker: number;
  readonly fault: 'read' | 'commit' | 'answer';
  readonly ms: number;
}

const step: fc.Arbitrary<ModelStep> = fc.record({
  what: fc.constantFrom<ModelStep['what']>(
    ...(['write', 'write', 'write unmarked', 'write in a transaction', 'write expiring'] as const),
    ...(['change the expiry', 'forget', 'ensure', 'drain', 'drain', 'evict', 'evict'] as const),
    ...(['drain late', 'ensure late', 'evict late', 'leases end', 'fail'] as const),
  ),
  key: fc.nat(KEYS.length - 1),
  worker: fc.nat(1),
  fault: fc.constantFrom<ModelStep['fault']>('read', 'commit', 'answer'),
  ms: fc.integer({ min: 5, max: 12 }),
});

/** Steps of one group run at once: one by the application, the others by workers. */
export const groups: fc.Arbitrary<[ModelStep, ModelStep, ModelStep][]> = fc.array(
  fc.tuple(step, step, step),
  { minLength: 1, maxLength: 12 },
);
const isWork = ({ what }: ModelStep): boolean => /^(drain|evict|ensure|leases|fail)/.test(what);

/** Errors that the failures of the cold store explain. */
const EXPECTED = new Set(['unavailable', 'unknown-outcome', 'conflict']);

/** What is wrong in the archives of a world. */
export interface Flaw {
  /** Changes the scripts; gives them unchanged where they are not concerned. */
  readonly script?: (source: string) => string;
  readonly cold?: (store: Store<Uint8Array>) => Store<Uint8Array>;
}

/** Puts that heed no condition. */
export function heedless(store: Store<Uint8Array>): Store<Uint8Array> {
  const inner = primitivesOf(store, 'heedless');
  return defineStore({
    ...inner,
    readOne: (key, call) => inner.readOne(key, call),
    readMany: (keys, call) => inner.readMany(keys, call),
    scan: (range, call) => inner.scan(range, call),
    scanKeys: (range, call) => inner.scanKeys(range, call),
    commit: (writes, call) =>
      inner.commit(
        writes.map(({ if: _, ...write }) => write),
        call,
      ),
    close: () => inner.close(),
  });
}

/** A client whose duplicates send other scripts than they are given. */
export function rewriting(url: string, script: (source: string) => string): NodeRedisClient {
  const client = createClient({ url });
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (overrides) => {
    const made = duplicate(overrides);
    const send = made.sendCommand.bind(made);
    made.sendCommand = (args, ...rest) =>
      send(args[0] === 'SCRIPT' ? args.with(2, script(String(args[2]))) : args, ...rest);
    return made;
  };
  return client;
}

/** Two archives over one Redis and one cold store, used again and again. */
export class ArchiveModel {
  readonly #client: RedisClientType;
  readonly #plan = new FaultPlan();
  readonly #cold: Store<Uint8Array>;
  readonly #objects: ColdObjects;
  readonly #archives: readonly Archive[];
  /** Values, or the time at which the last one expires. */
  readonly #expected = new Map<string, { readonly value: string; readonly expiresAt?: number }>();
  #forgotten = new Set<string>();
  #written = 0;
  /** Calls that hang on the cold store, for so many groups more. */
  readonly #late: { groups: number; readonly done: Promise<unknown> }[] = [];

  constructor(client: RedisClientType, url: string, flaw: Flaw = {}) {
    this.#client = client;
    this.#cold = memory<Uint8Array>();
    this.#objects = new ColdObjects(this.#cold, seal(), NAMESPACE, 5_000, UNOWNED);
    const cold = faultyCold(this.#plan, (flaw.cold ?? ((store) => store))(this.#cold));
    this.#archives = [0, 1].map(() =>
      archive({
        hot: redisKeys(rewriting(url, flaw.script ?? ((source) => source))),
        ...{ cold, throttleMs: 0 },
      }),
    );
  }

  /** Everything begins anew, with or without keys that are evicted; then the groups run, and all must be as the map says. */
  async run(
    all: readonly (readonly ModelStep[])[],
    background: boolean,
    beginsEvicted: boolean,
  ): Promise<void> {
    await this.#client.flushAll();
    await this.#cold.clear();
    this.#plan.heal();
    this.#expected.clear();
    this.#forgotten = new Set();
    if (beginsEvicted) await this.#evictAll();
    const retry = { firstMs: 1, mostMs: 5 };
    const workers = background ? this.#archives.map((one) => one.worker({ idleMs: 3, retry })) : [];
    try {
      for (const [first, ...others] of all) {
        const together = [first as ModelStep, ...others.filter(isWork)];
        await this.#patiently(Promise.all(together.map((one) => this.#step(one))));
        for (const late of this.#late) if (late.groups-- === 0) this.#plan.release();
      }
    } finally {
      this.#plan.heal();
      await Promise.all(this.#late.splice(0).map(({ done }) => done));
      await this.#patiently(Promise.all(workers.map((one) => one.stop())));
    }
    await this.#check();
  }

  async #evictAll(): Promise<void> {
    const [one] = this.#archives as [Archive];
    for (const key of KEYS) {
      this.#expected.set(key, { value: 'first' });
      await this.#client.set(key, 'first');
    }
    await one.dirty(...KEYS);
    await one.drain();
    expect(await one.evict(...KEYS)).toMatchObject({ evicted: KEYS.length });
  }

  async end(): Promise<void> {
    await Promise.all(this.#archives.map((one) => one.close()));
  }

  /** Whoever meets a hang that was meant for another waits a little. */
  async #patiently(work: Promise<unknown>): Promise<void> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    while (!done) {
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5))]);
      if (!done) this.#plan.release();
    }
    await ended;
  }

  async #step(step: ModelStep): Promise<void> {
    const key = KEYS[step.key] as string;
    const one = this.#archives[step.worker] as Archive;
    if (step.what === 'fail') this.#fail(step.fault);
    // Workers then take from one another.
    else if (step.what === 'leases end') await makeDue(this.#client);
    else if (step.what === 'drain') await tolerant(one.drain());
    else if (step.what === 'evict') await tolerant(one.evict(...KEYS));
    else if (step.what === 'ensure') await tolerant(one.ensure(key));
    else if (step.what.endsWith(' late')) this.#begin(step, one, key);
    else if (step.what === 'change the expiry') await this.#changeExpiry(key);
    else if (step.what === 'forget') {
      this.#expected.delete(key);
      this.#forgotten.add(key);
      await tolerant(one.forget(key));
    } else await this.#write(one, key, step);
  }

  async #write(one: Archive, key: string, { what, ms }: ModelStep): Promise<void> {
    const value = `v${this.#written++}`;
    if (what === 'write' || what === 'write unmarked') {
      this.#forgotten.delete(key);
      this.#expected.set(key, { value });
      await this.#client.set(key, value);
      // A worker may have evicted it since.
      if (what === 'write') await one.dirty(key).catch(() => undefined);
      return;
    }
    const isExpiring = what === 'write expiring';
    // Written over an evicted key, what expires before it is marked would bring back what was evicted.
    if (isExpiring && !(await tolerant(one.ensure(key)))) return;
    const transaction = this.#client.multi();
    if (isExpiring) transaction.set(key, value, { expiration: { type: 'PX', value: ms } });
    else transaction.set(key, value);
    one.dirtyAtomically(transaction, [key]);
    await transaction.exec();
    this.#forgotten.delete(key);
    this.#expected.set(key, { value, ...(isExpiring && { expiresAt: Date.now() + ms }) });
  }

  /** What then hangs ends when some groups have run, with what it had read before. */
  #begin({ what, ms }: ModelStep, one: Archive, key: string): void {
    if (what === 'drain late') this.#plan.hangNext('commit');
    else this.#plan.hangNext('read', { applied: true });
    const work = { 'drain late': () => one.drain(), 'ensure late': () => one.ensure(key) };
    const late = work[what as keyof typeof work] ?? (() => one.evict(key));
    this.#late.push({ groups: ms % 4, done: tolerant(late()) });
  }

  /** Without a mark; eviction is to notice it. Where the key is evicted nothing happens. */
  async #changeExpiry(key: string): Promise<void> {
    const known = this.#expected.get(key);
    if (known === undefined || known.expiresAt !== undefined) return;
    const far = Date.now() + 3_600_000;
    await this.#client.pExpireAt(key, far);
  }

  #fail(fault: ModelStep['fault']): void {
    if (fault === 'answer') this.#plan.failNext('commit', undefined, { applied: true });
    else this.#plan.failNext(fault);
  }

  /** Evicted and brought back, every key has what was written last; what was forgotten or has expired stays away. */
  async #check(): Promise<void> {
    this.#plan.heal();
    await this.#expire();
    const [one] = this.#archives as [Archive];
    await one.ensure(...KEYS);
    await this.#compare('brought back');
    const expiries = await this.#expiries();
    const evicted = this.#expected.size;
    for (let round = 0; round < 3; round++) {
      const stats = await one.stats();
      if (stats.dirty === 0 && stats.evicted === evicted) break;
      await makeDue(this.#client);
      expect((await one.drain()).failed).toEqual([]);
      await one.evict(...KEYS);
    }
    expect(await one.stats()).toMatchObject({ dirty: 0, failing: 0, evicted });
    expect(await this.#client.exists(KEYS)).toBe(0);
    await this.#checkObjects();
    await one.ensure(...KEYS);
    await this.#compare('evicted and brought back');
    expect(await this.#expiries()).toEqual(expiries);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
  }

  /** What was forgotten is no more in the cold store, so that no loss of records could bring it back. */
  async #checkObjects(): Promise<void> {
    for (const key of this.#forgotten) {
      const found = await this.#objects.find({ bytes: Buffer.from(key), shown: key, isText: true });
      if (found !== undefined) expect(found.object?.type, `the object of ${key}`).toBe('deleted');
    }
  }

  async #expire(): Promise<void> {
    const times = [...this.#expected.values()].map(({ expiresAt }) => expiresAt ?? 0);
    const leftMs = Math.max(0, ...times) - Date.now();
    if (leftMs >= 0) await new Promise((resolve) => setTimeout(resolve, leftMs + 2));
    for (const [key, { expiresAt }] of this.#expected)
      if (expiresAt !== undefined) this.#expected.delete(key);
  }

  #expiries(): Promise<number[]> {
    return Promise.all(KEYS.map((key) => this.#client.pExpireTime(key)));
  }

  async #compare(when: string): Promise<void> {
    const found = await this.#client.mGet(KEYS);
    const wanted = KEYS.map((key) => this.#expected.get(key)?.value ?? null);
    expect(found, when).toEqual(wanted);
  }
}

/** Whether it went well; false where the failures of the cold store explain why not. */
async function tolerant(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!EXPECTED.has((error as { code?: string }).code ?? '')) throw error;
    return false;
  }
}
