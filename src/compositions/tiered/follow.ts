import { attempt } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Write } from '../../store/primitives.ts';
import { toCopy } from './copies.ts';
import { KeptPosition } from './follow-position.ts';
import { Follower } from './follower.ts';
import { removal } from './front-copies.ts';
import { Loads } from './loads.ts';
import type { ThroughSetup } from './through-setup.ts';
import type { Doors, TieredParts } from './tiered-parts.ts';

/** The follower that the options ask for, started. */
export function followerOf<V>(
  parts: TieredParts<V>,
  setup: ThroughSetup<V>,
  doors: Doors<V>,
): Follower<V> | undefined {
  const { env, back, options, frontTimeoutMs } = parts;
  const { copies, source, freshness, frontTakesExpiry, frontOnly } = setup;
  if (options.follow !== true || back.feed === undefined) return undefined;
  const { blocking, durability } = parts.front.capabilities;
  const outlives = !blocking || durability !== 'memory';
  const follower = new Follower<V>({
    env,
    copies,
    front: doors.front,
    feed: back.feed,
    timeoutMs: parts.backBounds.timeoutMs,
    maxLagMs: options.maxLagMs,
    // A front that is read alone is a whole copy of the back.
    load: frontOnly ? loaderOf(parts, setup, doors) : undefined,
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

/** Reads keys from the back into the front. One that fails stays fenced: who asks for it is told by the back. */
function loaderOf<V>(
  { env, backBounds }: TieredParts<V>,
  setup: ThroughSetup<V>,
  { front, back }: Doors<V>,
): (keys: readonly string[]) => Awaitable<unknown> {
  const { copies } = setup;
  const loads = new Loads({ ...setup, awaitsCopies: true }, front, back);
  return (keys) => {
    for (const key of keys) {
      const state = copies.states.open(key);
      copies.fence(state);
      copies.states.release(state);
    }
    const call = new Call(env, 'follow', undefined, { timeoutMs: backBounds.usualMs });
    return attempt<unknown, unknown>(
      () => loads.many(keys, call),
      () => undefined,
      () => undefined,
    );
  };
}
