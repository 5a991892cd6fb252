/** Journals over a store that can be made to fail or to end with its process, in simulated time. */
import type { JournalRecord, JournalWrite } from '../../src/kernel/journal/journal.ts';
import { type StoreJournalOptions, storeJournal } from '../../src/kernel/journal/store-journal.ts';
import type { Awaitable } from '../../src/store/awaitable.ts';
import { Call } from '../../src/store/call.ts';
import type { Env } from '../../src/store/env.ts';
import type { StrataError } from '../../src/store/errors.ts';
import type { Primitives } from '../../src/store/primitives.ts';

export const LEASE_MS = 1_000;

/** A call of a test: without a deadline, unless it names one. */
export function callOf(
  env: Env,
  operation = 'test',
  timeoutMs: number = Number.POSITIVE_INFINITY,
): Call {
  return new Call(env, operation, undefined, { timeoutMs });
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
) {
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

/** What is to be the same before and after. */
export function contents(
  records: readonly JournalRecord<unknown>[],
): { readonly seq: number; readonly id: string; readonly writes: unknown }[] {
  return records.map(({ seq, id, writes }) => ({ seq, id, writes }));
}

/** A process that uses a store, and may end in the midst of it. */
export class Mortal {
  /** Every step that it has taken: reads, pages of scans, commits. */
  steps = 0;
  #diesAt = Number.POSITIVE_INFINITY;
  #applied = false;
  #dead = false;

  get dead(): boolean {
    return this.#dead;
  }

  /** Ends it at a later step; the store does that step still where `applied`. */
  dieAt(step: number, applied: boolean): void {
    this.#diesAt = step;
    this.#applied = applied;
  }

  die(): void {
    this.#dead = true;
  }

  /** The store as this process sees it: after its end nothing is answered. */
  over<V>(inner: Primitives<V>): Primitives<V> {
    const { blocking: _blocking, bytes, ...rest } = inner;
    const { feed } = rest;
    const self = this;
    async function* pages<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
      for await (const page of source) yield await self.#step(() => page);
    }
    return {
      ...rest,
      readOne: (key, call) => this.#step(() => inner.readOne(key, call)),
      readMany: (keys, call) => this.#step(() => inner.readMany(keys, call)),
      scan: (range, call) => pages(inner.scan(range, call)),
      scanKeys: (range, call) => pages(inner.scanKeys(range, call)),
      commit: (writes, call) => this.#step(() => inner.commit(writes, call)),
      ...(feed !== undefined && {
        feed: { ...feed, state: (call: Call) => this.#step(() => feed.state(call)) },
      }),
      ...(bytes !== undefined && { bytes: this.over(bytes) }),
    } as Primitives<V>;
  }

  async #step<T>(work: () => Awaitable<T>): Promise<T> {
    const last = ++this.steps === this.#diesAt;
    if (last && this.#applied && !this.#dead) await work();
    if (last) this.#dead = true;
    if (this.#dead) return new Promise<never>(() => {});
    return work();
  }
}
