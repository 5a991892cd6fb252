import type { Capabilities } from '../../store/capabilities.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { ConformanceError } from '../assert.ts';
import { settled } from '../settled.ts';
import type { SimulatedEnv } from '../simulated-env.ts';
import type { SampleValues } from '../values.ts';

/** Makes the stores that the cases run on. Each case gets its own, and what it made is closed after it. */
export interface StoreFactory<V> {
  /** A fresh, empty store. */
  create(): Store<V> | Promise<Store<V>>;
  /** Closes a store and opens the same data again; for stores that outlive their closing. */
  reopen?(store: Store<V>): Promise<Store<V>>;
  /** A second handle on the same data, as another process or tab has it. */
  second?(store: Store<V>): Promise<Store<V>>;
  /** Removes what a case left behind; called with every store of the case, all closed by then. */
  destroy?(store: Store<V>): Promise<void>;
  /** Values to try; default those that fit what the store accepts. */
  readonly values?: SampleValues<V>;
  /** The simulated world in which `create` makes its stores, where it does: expiry then needs no waiting. */
  readonly env?: SimulatedEnv;
  /** What the stores must be capable of: so that none passes by offering little. */
  readonly required?: Partial<Capabilities>;
  /** The store hands values in and out by reference (as `memory` with `zeroCopy`); default false. */
  readonly sharesValues?: boolean;
}

/**
 * What a case needs of the store; a case whose needs are not met is skipped, with the reason.
 * `records`: that an entry is more than its value and expiry. `absent`: sets of what is absent.
 */
export type Need = 'feed' | 'batch' | 'conditional' | 'absent' | 'records' | 'ttl' | 'blocking';

/** One promise of the contract. */
export interface Case {
  readonly name: string;
  readonly needs?: readonly Need[];
  /** What it needs of the factory; without it the case is not declared. */
  readonly factory?: 'reopen' | 'second' | 'copies';
  run(t: CaseContext): Promise<void>;
}

/** What a case works with. */
export interface CaseContext {
  /** Fresh and empty. */
  readonly store: Store<unknown>;
  readonly values: SampleValues;
  readonly env: SimulatedEnv | undefined;
  readonly required: Partial<Capabilities>;
  /** The n-th sample value. */
  value(n: number): unknown;
  /** Another fresh store. */
  another(): Promise<Store<unknown>>;
  reopen(store: Store<unknown>): Promise<Store<unknown>>;
  second(store: Store<unknown>): Promise<Store<unknown>>;
  /** Lets time pass, simulated where the store's is. */
  pass(ms: number): Promise<void>;
}

/** A promise's outcome, or an error when it does not settle in time: a case must not hang. */
export async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let cancel = (): void => {};
  const late = new Promise<never>((_, reject) => {
    const timer = systemEnv.setTimer(
      () => reject(new ConformanceError(`${what}: not within ${ms} ms`)),
      ms,
    );
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}

/** Lets simulated time pass, where the store's is, until a promise settles, and three seconds at most. */
async function elapse({ env }: Pick<CaseContext, 'env'>, promise: Promise<unknown>): Promise<void> {
  let pending = true;
  const over = (): void => {
    pending = false;
  };
  promise.then(over, over);
  if (env === undefined) return;
  await env.advance(0);
  for (let i = 0; i < 150 && pending; i++) {
    await env.advance(20);
    // A store on a disk needs some real time too.
    if (i >= 50) await passTime(undefined, 4);
  }
}

/** How long a case waits in real time. */
const patienceMs = ({ env }: Pick<CaseContext, 'env'>): number =>
  env === undefined ? 10_000 : 2_000;

/** A promise's outcome, while simulated time passes where the store's is. */
export async function settles<T>(
  t: Pick<CaseContext, 'env'>,
  promise: Promise<T>,
  what: string,
): Promise<T> {
  await elapse(t, promise);
  return within(patienceMs(t), promise, what);
}

/**
 * The outcomes of promises that settle in any order: many calls at once take their time on a slow
 * engine, and while one after the other ends, none hangs. Simulated time passes no longer than for one.
 */
export async function allSettle<T>(
  t: Pick<CaseContext, 'env'>,
  promises: readonly Promise<T>[],
  what: string,
): Promise<T[]> {
  const all = Promise.all(promises);
  await elapse(t, all);
  const left = new Map(promises.map((promise, n) => [n, promise.then(() => n)]));
  while (left.size > 0) left.delete(await within(patienceMs(t), Promise.race(left.values()), what));
  return all;
}

/** Real or simulated time passes. */
export async function passTime(env: SimulatedEnv | undefined, ms: number): Promise<void> {
  if (env !== undefined) return env.advance(ms);
  await new Promise<void>((resolve) => systemEnv.setTimer(resolve, ms));
  await settled();
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
