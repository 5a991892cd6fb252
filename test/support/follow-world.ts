/** A tiered store that follows its back, in simulated time, over parts that can be made to fail. */
import {
  type TieredEvent,
  type TieredOptions,
  type TieredStoreWithBlocking,
  tiered,
} from '../../src/compositions/tiered/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import type { StoreWithBlocking } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';

type Options = Partial<Omit<TieredOptions<unknown>, 'env'>>;

export interface FollowWorld {
  readonly env: SimulatedEnv;
  readonly inFront: StoreWithBlocking<unknown>;
  readonly inBack: StoreWithBlocking<unknown>;
  readonly frontPlan: FaultPlan;
  readonly backPlan: FaultPlan;
  readonly store: TieredStoreWithBlocking<unknown>;
  readonly events: readonly TieredEvent[];
  /** The types of the events. */
  types(): string[];
}

export function followWorld(
  options: Options = {},
  env: SimulatedEnv = simulatedEnv(),
): FollowWorld {
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  const [frontPlan, backPlan] = [new FaultPlan(), new FaultPlan()];
  const events: TieredEvent[] = [];
  const store = tiered<unknown>({
    front: faulty(inFront, frontPlan),
    back: faulty(inBack, backPlan),
    follow: true,
    onEvent: (event) => events.push(event),
    ...options,
  }) as TieredStoreWithBlocking<unknown>;
  const types = (): string[] => events.map(({ type }) => type);
  return { env, inFront, inBack, frontPlan, backPlan, events, types, store };
}
