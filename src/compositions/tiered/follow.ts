import type { Entry } from '../../store/entry.ts';
import type { Write } from '../../store/primitives.ts';
import { toCopy } from './copies.ts';
import { KeptPosition } from './follow-position.ts';
import { Follower } from './follower.ts';
import { removal } from './front-copies.ts';
import type { Door } from './parts.ts';
import type { ThroughSetup } from './through-setup.ts';
import type { TieredParts } from './tiered-parts.ts';

/** The follower that the options ask for, started. */
export function followerOf<V>(
  parts: TieredParts<V>,
  setup: ThroughSetup<V>,
  front: Door<V>,
): Follower<V> | undefined {
  const { env, back, options, frontTimeoutMs } = parts;
  const { copies, source, freshness, frontTakesExpiry, frontOnly } = setup;
  if (options.follow !== true || back.feed === undefined) return undefined;
  const { blocking, durability } = parts.front.capabilities;
  const outlives = !blocking || durability !== 'memory';
  const follower = new Follower<V>({
    env,
    copies,
    front,
    feed: back.feed,
    timeoutMs: parts.backBounds.timeoutMs,
    maxLagMs: options.maxLagMs,
    // A front that is read alone is a whole copy of the back.
    everything: frontOnly,
    position:
      outlives && KeptPosition.fits(parts.front)
        ? new KeptPosition(parts.front, frontTimeoutMs)
        : undefined,
    copyOf: (entry: Entry<V>): Write<V> =>
      frontTakesExpiry || entry.expiresAt === undefined
        ? toCopy(entry, entry.value, source.now(), freshness?.timesOf(env.now()))
        : removal(entry.key),
    onEvent: parts.onEvent,
    onFrontError: parts.onFrontError,
  });
  follower.start();
  return follower;
}
