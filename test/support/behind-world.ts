/** Stores that are written behind, in processes that end in the midst of their work, in simulated time. */
import './behind-loaded.ts';
import {
  type TieredEvent,
  type TieredOptions,
  type TieredStore,
  tiered,
} from '../../src/compositions/tiered/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import { type Capabilities, defineStore, primitivesOf, type Store } from '../../src/store/index.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import { given, Mortal } from './journal-world.ts';

export const LEASE_MS = 200;

/** A store that outlives the simulated processes, as one of a server does. */
export function lasting(env: SimulatedEnv, less: Partial<Capabilities> = {}): Store<unknown> {
  const inner = primitivesOf(memory({ env }));
  const { blocking: _, ...rest } = inner;
  const capabilities = Object.freeze({
    ...inner.capabilities,
    durability: 'os' as const,
    blocking: false,
    ...less,
  });
  return defineStore({ ...rest, capabilities });
}

/** One process, and the ways in which its parts fail. */
export interface Process {
  readonly store: TieredStore<unknown>;
  readonly parts: Readonly<Record<'front' | 'back' | 'journal', Mortal>>;
  readonly plans: Readonly<Record<'front' | 'back' | 'journal', FaultPlan>>;
  readonly events: TieredEvent[];
  /** Ends it at once: nothing of it is answered any more. */
  kill(): void;
}

/** What outlives the processes. */
export class BehindWorld {
  readonly env: SimulatedEnv = simulatedEnv();
  readonly back: Store<unknown>;
  readonly journal: Store<unknown> = lasting(this.env);
  readonly front: Store<unknown>;
  readonly #options: Partial<TieredOptions<unknown>>;
  readonly #keepsFront: boolean;

  /** `backLacks`: what the back can do less than others. */
  constructor(
    options: Partial<TieredOptions<unknown>> = {},
    keepsFront = false,
    backLacks: Partial<Capabilities> = {},
  ) {
    this.back = lasting(this.env, backLacks);
    this.#options = options;
    this.#keepsFront = keepsFront;
    this.front = lasting(this.env);
  }

  start(): Process {
    const { env } = this;
    const parts = { front: new Mortal(), back: new Mortal(), journal: new Mortal() };
    const plans = { front: new FaultPlan(), back: new FaultPlan(), journal: new FaultPlan() };
    const events: TieredEvent[] = [];
    const seen = (name: keyof typeof parts, inner: Store<unknown>): Store<unknown> =>
      faulty(defineStore(parts[name].over(primitivesOf(inner))), plans[name]);
    const store = tiered({
      front: this.#keepsFront ? seen('front', this.front) : faulty(memory({ env }), plans.front),
      back: seen('back', this.back),
      write: 'behind',
      journal: seen('journal', this.journal),
      leaseMs: LEASE_MS,
      retry: { minMs: 10, maxMs: 200 },
      onEvent: (event) => events.push(event),
      closeParts: false,
      env,
      ...this.#options,
    });
    const kill = (): void => {
      for (const part of Object.values(parts)) part.dead = true;
    };
    return { store, parts, plans, events, kill };
  }
}

export const keysOf = (store: Store<unknown>): Promise<string[]> => Array.fromAsync(store.keys());
export const kindsOf = (events: readonly TieredEvent[]): string[] => events.map(({ type }) => type);

export interface Begun extends Process {
  readonly world: BehindWorld;
  readonly env: SimulatedEnv;
  /** The back itself, without faults. */
  readonly back: Store<unknown>;
  /** What a promise gives, letting time pass for as long as it needs. */
  give<T>(promise: Promise<T>): Promise<T>;
  /** The back takes nothing from now on, until the plan is healed. */
  stall(): void;
}

/** A world with one process. */
export async function begin(options: Partial<TieredOptions<unknown>> = {}): Promise<Begun> {
  const world = new BehindWorld(options);
  const one = world.start();
  await given(world.env, one.store.has('opened'));
  const give = <T>(promise: Promise<T>): Promise<T> => given(world.env, promise);
  const stall = (): void => {
    one.plans.back.failNext('commit', 'unavailable', { times: 1_000 });
  };
  return { world, ...one, give, stall, env: world.env, back: world.back };
}
