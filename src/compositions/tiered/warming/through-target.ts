import { DEFAULT_TIMEOUT_MS } from '../../../store/call.ts';
import { Loads } from '../loads.ts';
import type { ThroughSetup } from '../through-setup.ts';
import type { Doors, TieredParts } from '../tiered-parts.ts';
import { Lifetime } from './lifetime.ts';
import { LiveCopies } from './live-copies.ts';
import type { WarmTarget } from './target.ts';

/** The parts of a tiered store at work whose copies are kept by its reads. */
export function throughTarget<V>(
  { env, front, back, options, timeoutMs }: TieredParts<V>,
  setup: ThroughSetup<V>,
  doors: Doors<V>,
): WarmTarget<V> {
  const { copies, link, freshness, frontTakesExpiry } = setup;
  const loads = new Loads({ ...setup, awaitsCopies: true }, doors.front, doors.back);
  const live = new LiveCopies<V>({
    readFront: (keys, call) => doors.front.readMany(keys, call),
    readBack: (keys, call) => link.ask(call, (part) => doors.back.readMany(keys, part)),
    renew: (keys, call) => loads.many(keys, call),
    // A key that is being written is brought up to date by its write.
    isFenced: (key) => {
      const state = copies.states.get(key);
      return !copies.whole || (state?.fenced === true && state.writers === 0);
    },
    isFresh: (copy) => freshness === undefined || freshness.worthOf(copy) === 'fresh',
    frontTakesExpiry,
  });
  return {
    env,
    front,
    back,
    backStore: options.back,
    stepTimeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS,
    lifetime: new Lifetime(),
    deal: (task, steps) => live.deal(task, steps),
  };
}
