/** Two memory stores to copy between, each also as one that can be made to fail, in simulated time. */
import type { WarmProgress } from '../../src/compositions/tiered/warming/options.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';

export interface WarmWorld<V> {
  readonly env: SimulatedEnv;
  /** The stores themselves. */
  readonly inFront: StoreWithBlocking<V>;
  readonly inBack: StoreWithBlocking<V>;
  readonly frontPlan: FaultPlan;
  readonly backPlan: FaultPlan;
  /** The same with faults. */
  readonly front: StoreWithBlocking<V>;
  readonly back: StoreWithBlocking<V>;
}

export function warmWorld<V = unknown>(): WarmWorld<V> {
  const env = simulatedEnv();
  const [inFront, inBack] = [memory<V>({ env }), memory<V>({ env })];
  const [frontPlan, backPlan] = [new FaultPlan(), new FaultPlan()];
  const [front, back] = [faulty(inFront, frontPlan), faulty(inBack, backPlan)];
  return { env, inFront, inBack, frontPlan, backPlan, front, back };
}

/** A warming that has done nothing. */
export const NOTHING: WarmProgress = { copied: 0, skipped: 0, removed: 0, missing: 0 };

/** What a warming counted. */
export function counts({ after: _, ...counted }: WarmProgress): Omit<WarmProgress, 'after'> {
  return counted;
}

export function keysOf<V>(store: Store<V>): Promise<string[]> {
  return Array.fromAsync(store.keys());
}

/** Writes so many keys, and gives them. */
export async function fill(store: Store<unknown>, count: number, prefix = 'k'): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, i) => prefix + String(i).padStart(6, '0'));
  await store.setMany(keys.map((key, i) => [key, i]));
  return keys;
}
