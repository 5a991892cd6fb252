/** Journals over a store that can be made to fail or to end with its process, in simulated time. */
import type { Journal, JournalRecord, JournalWrite } from '../../src/kernel/journal/journal.ts';
import { type StoreJournalOptions, storeJournal } from '../../src/kernel/journal/store-journal.ts';
import type { Awaitable } from '../../src/store/awaitable.ts';
import { Call } from '../../src/store/call.ts';
import type { Env } from '../../src/store/env.ts';
import { isStrataError, StrataError } from '../../src/store/errors.ts';
import type { CommitOutcome, Primitives, Write } from '../../src/store/primitives.ts';
import type { SimulatedEnv } from '../../src/testing/index.ts';

export const LEASE_MS = 1_000;

/** A call of a test: without a deadline, unless it names one. */
export function callOf(env: Env, timeoutMs: number = Number.POSITIVE_INFINITY): Call {
  return new Call(env, 'test', undefined, { timeoutMs });
}

export interface Told {
  readonly lost: StrataError[];
  readonly damaged: { readonly record: string; readonly error: StrataError }[];
}

/** A journal, and what it tells. */
export function journalOn<V>(
  store: Primitives<V>,
  env: Env,
  options: Partial<StoreJournalOptions<unknown>> = {},
): { readonly journal: Journal<unknown>; readonly told: Told } {
  const told: Told = { lost: [], damaged: [] };
  const journal = storeJournal<unknown>({
    store: store as Primitives<unknown>,
    env,
    leaseMs: LEASE_MS,
    owner: 'pid 1',
    onLost: (error) => told.lost.push(error),
    onDamaged: (record, error) => told.damaged.push({ record, error }),
    ...options,
  });
  return { journal, told };
}

let versions = 0;

export function set(key: string, value: unknown, more: object = {}): JournalWrite<unknown> {
  return { type: 'set', key, value, version: `v${++versions}`, modifiedAt: 1, ...more };
}

export function del(key: string): JournalWrite<unknown> {
  return { type: 'delete', key, version: `v${++versions}`, modifiedAt: 1, base: '' };
}

export function writesOf(
  records: readonly JournalRecord<unknown>[],
): (readonly JournalWrite<unknown>[])[] {
  return records.map(({ writes }) => writes);
}

/** What a promise gives, letting time pass for as long as it needs. */
export async function given<T>(env: SimulatedEnv, promise: Awaitable<T>): Promise<T> {
  let settled = false;
  const done = Promise.resolve(promise).finally(() => {
    settled = true;
  });
  done.catch(() => {});
  for (let turn = 0; turn < 2_000 && !settled; turn++) await env.advance(turn < 3 ? 0 : 50);
  if (!settled) throw new Error('nothing is given');
  return done;
}

/**
 * What happens to a commit: its answer is `lost`; it is `gone` and nobody knows; it is `refused`; or
 * it lands late, before the step so many steps on, when nobody knows of it any more.
 */
export type Fate = 'done' | 'lost' | 'gone' | 'refused' | number;

/** A process that uses a store over a bad line, and may end in the midst of it. */
export class Mortal {
  /** Every step that it has taken: reads, pages of scans, commits. */
  steps = 0;
  dead = false;
  /** Of the next commits. */
  fates: Fate[] = [];
  #diesAt = Number.POSITIVE_INFINITY;
  #applied = false;
  #late: { readonly at: number; readonly land: () => Awaitable<unknown> }[] = [];

  /** Ends it at a later step; the store does that step still where `applied`. */
  dieAt(step: number, applied: boolean): void {
    this.#diesAt = step;
    this.#applied = applied;
  }

  /** Lets every commit land that is late, or fail. */
  async landAll(): Promise<void> {
    await this.#land(Number.POSITIVE_INFINITY);
  }

  /** The store as this process sees it: after its end nothing is answered. */
  over<V>(inner: Primitives<V>): Primitives<V> {
    const { blocking: _blocking, bytes, ...rest } = inner;
    const { feed } = rest;
    const step = <T>(work: () => Awaitable<T>): Promise<T> => this.#step(work);
    async function* pages<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
      for await (const page of source) yield await step(() => page);
    }
    return {
      ...rest,
      readOne: (key, call) => step(() => inner.readOne(key, call)),
      readMany: (keys, call) => step(() => inner.readMany(keys, call)),
      scan: (range, call) => pages(inner.scan(range, call)),
      scanKeys: (range, call) => pages(inner.scanKeys(range, call)),
      commit: (writes, call) => step(() => this.#commit(inner, writes, call)),
      ...(feed !== undefined && {
        feed: { ...feed, state: (call: Call) => step(() => feed.state(call)) },
      }),
      ...(bytes !== undefined && { bytes: this.over(bytes) }),
    } as Primitives<V>;
  }

  async #commit<V>(
    inner: Primitives<V>,
    writes: readonly Write<V>[],
    call: Call,
  ): Promise<CommitOutcome> {
    const fate = this.fates.shift() ?? 'done';
    const unsure = new StrataError('unknown-outcome', 'no answer', { operation: 'commit' });
    if (fate === 'refused')
      throw new StrataError('unavailable', 'not now', { operation: 'commit' });
    if (fate === 'gone') throw unsure;
    if (typeof fate === 'number') {
      this.#late.push({ at: this.steps + fate, land: () => inner.commit(writes, call) });
      throw unsure;
    }
    const done = await inner.commit(writes, call);
    if (fate === 'lost') throw unsure;
    return done;
  }

  async #step<T>(work: () => Awaitable<T>): Promise<T> {
    const last = ++this.steps === this.#diesAt;
    await this.#land(this.steps);
    if (last && this.#applied && !this.dead) await work();
    if (last) this.dead = true;
    if (this.dead) return new Promise<never>(() => {});
    return work();
  }

  async #land(step: number): Promise<void> {
    const due = this.#late.filter(({ at }) => at <= step);
    this.#late = this.#late.filter(({ at }) => at > step);
    for (const { land } of due)
      try {
        await land();
      } catch (error) {
        if (!isStrataError(error, 'conflict')) throw error;
      }
  }
}
