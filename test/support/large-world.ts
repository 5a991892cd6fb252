/** Stores of many keys in simulated time, and subscribers whose clock is wrong. */
import { memory } from '../../src/drivers/memory/index.ts';
import type { Env } from '../../src/store/env.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import {
  channelPair,
  type PublishOptions,
  publish,
  type SubscribeOptions,
  type Subscription,
  subscribe,
} from '../../src/sync/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import { bytes, words } from './bytes.ts';

export const KEYS = 50_000;
const HOUR_MS = 3_600_000;

/** How far the clock of a subscriber is from that of the source. */
export const SKEWS: readonly (readonly [sense: string, skewMs: number])[] = [
  ['ahead', HOUR_MS],
  ['behind', -HOUR_MS],
];

export function skewed(env: Env, skewMs: number): Env {
  return {
    now: () => env.now() + skewMs,
    monotonicMs: () => env.monotonicMs(),
    random: () => env.random(),
    randomBytes: (length) => env.randomBytes(length),
    setTimer: (fn, delayMs, options) => env.setTimer(fn, delayMs, options),
  };
}

export interface LargeWorld {
  readonly env: SimulatedEnv;
  /** The subscriber's. */
  readonly wrongEnv: Env;
  readonly source: StoreWithBlocking<Uint8Array>;
  readonly local: StoreWithBlocking<Uint8Array>;
}

/** A source with so many keys, and an empty local store whose clock is wrong. */
export async function largeWorld(skewMs: number, count: number = KEYS): Promise<LargeWorld> {
  const env = simulatedEnv(13);
  const wrongEnv = skewed(env, skewMs);
  const source = memory<Uint8Array>({ env });
  for (let from = 0; from < count; from += 5_000)
    await source.setMany(
      Array.from({ length: Math.min(5_000, count - from) }, (_, i) => [
        `key:${from + i}`,
        bytes(`old ${from + i}`),
      ]),
    );
  return { env, wrongEnv, source, local: memory<Uint8Array>({ env: wrongEnv }) };
}

/** Everything in a store, as text. */
export function everything(store: StoreWithBlocking<Uint8Array>): Map<string, string> {
  const found = new Map<string, string>();
  for (const { key, value } of store.blocking.list()) found.set(key, words(value) ?? '');
  return found;
}

/** A subscription over a connection of its own. */
export function join(
  source: Store<Uint8Array>,
  local: Store<Uint8Array>,
  options: SubscribeOptions<Uint8Array>,
  published: PublishOptions<Uint8Array> = {},
): Subscription<Uint8Array> {
  const [here, there] = channelPair();
  publish(source, published).accept(there);
  return subscribe(here, local, options);
}
