/** A tiered store over two memory stores that can be made to fail, in simulated time. */
import {
  type TieredOptions,
  type TieredStoreWithBlocking,
  tiered,
} from '../../src/compositions/tiered/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import type { StoreWithBlocking } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';

type Store = StoreWithBlocking<unknown>;

export interface TieredWorld {
  readonly env: SimulatedEnv;
  /** The stores inside, without faults. */
  readonly inFront: Store;
  readonly inBack: Store;
  readonly frontPlan: FaultPlan;
  readonly backPlan: FaultPlan;
  readonly front: Store;
  readonly back: Store;
  readonly store: TieredStoreWithBlocking<unknown>;
}

export function tieredWorld(
  options: Partial<Omit<TieredOptions<unknown>, 'front' | 'back'>> = {},
): TieredWorld {
  const env = simulatedEnv();
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  const [frontPlan, backPlan] = [new FaultPlan(), new FaultPlan()];
  const front = faulty(inFront, frontPlan);
  const back = faulty(inBack, backPlan);
  const store = tiered({ front, back, ...options });
  return { env, inFront, inBack, frontPlan, backPlan, front, back, store };
}

/** The code with which a promise fails. */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );
}
