import { attempt } from '../../kernel/awaitable.ts';
import { Traffic } from '../../kernel/traffic.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Capabilities } from '../../store/capabilities.ts';
import { cloneValue } from '../../store/clone.ts';
import type { Entry } from '../../store/entry.ts';
import type { Timer } from '../../store/env.ts';
import { FIRST_USER_KEY, type KeyRange } from '../../store/keys.ts';
import type { BlockingPrimitives, Primitives } from '../../store/primitives.ts';
import { BackLink } from './back-link.ts';
import { NO_PENDING, type TieredStatus } from './events.ts';
import { followerOf } from './follow.ts';
import { freshnessOf } from './freshness.ts';
import { FrontCopies } from './front-copies.ts';
import { KnownMisses } from './known-misses.ts';
import { atHand } from './parts.ts';
import { SourceName } from './source.ts';
import { Through } from './through.ts';
import type { ThroughSetup } from './through-setup.ts';
import { closeAll, commonOf, openDoors, type Policy, type TieredParts } from './tiered-parts.ts';
import { throughTarget } from './warming/through-target.ts';

/** A tiered store whose writes go to the back. */
export function throughPolicy<V>(parts: TieredParts<V>): Policy<V> {
  const { front, back, env } = parts;
  const traffic = new Traffic(env);
  const setup: ThroughSetup<V> = setupOf(parts, (keys) => {
    const { usualMs } = parts.backBounds;
    const call = new Call(env, 'refresh', undefined, { timeoutMs: usualMs });
    return traffic.run(call, () => through.refresh(keys, call));
  });
  const { copies, link } = setup;
  const doors = openDoors(parts);
  const through: Through<V> = new Through(setup, doors.front, doors.back);
  const blocking = doors.blocking && new Through(setup, doors.blocking.front, doors.blocking.back);
  const follower = followerOf(parts, setup, doors);
  const feed = back.feed && link.feed(back.feed);
  const peek = peekOf(parts, setup);
  const listsFront = (range: KeyRange, { fresh }: Call): boolean =>
    !fresh && holdsAll(setup, range);
  const primitives: Primitives<V> = {
    ...commonOf(parts),
    capabilities: capabilitiesOf(parts),
    ...(back.checkValue !== undefined && { checkValue: back.checkValue.bind(back) }),
    ...(peek !== undefined && { peek }),
    readOne: (key, call) => traffic.run(call, () => through.readOne(key, call)),
    readMany: (keys, call) => traffic.run(call, () => through.readMany(keys, call)),
    scan: (range, call) =>
      listsFront(range, call)
        ? settledPages(front.scan(range, call), through, call)
        : link.pages(back.scan(range, call), call),
    scanKeys: (range, call) => {
      if (!listsFront(range, call)) return link.pages(back.scanKeys(range, call), call);
      // Without its entry it cannot be told whether a key is still to be shown.
      return setup.freshness === undefined
        ? front.scanKeys(range, call)
        : keysOf(settledPages(front.scan(range, call), through, call));
    },
    commit: (writes, call) => traffic.run(call, () => through.commit(writes, call)),
    ...(feed !== undefined && { feed: follower?.behind(feed) ?? feed }),
    ...(blocking !== undefined && { blocking: blockingPrimitives(parts, setup, blocking) }),
    close: async () => {
      await traffic.end(parts.backBounds.timeoutMs);
      await follower?.close();
      link.close();
      for (const timer of setup.holds) timer.cancel();
      setup.holds.clear();
      await copies.close();
      const stores = parts.close();
      if (stores.length === 0 || !diesWithProcess(front.capabilities))
        await copies.leave(doors.front);
      await closeAll(stores);
    },
  };
  const status = (): TieredStatus => ({
    back: link.status,
    ...(follower !== undefined && { follow: follower.status }),
    fenced: copies.fenced,
    pending: NO_PENDING,
  });
  const distrust: Policy<V>['distrust'] = (keys) => through.distrust(keys);
  const copiesOf: Policy<V>['copies'] = (keys, call) => through.copies(keys, call);
  return {
    primitives,
    status,
    copies: copiesOf,
    ...(blocking !== undefined && { now: readsNow(parts, blocking) }),
    distrust,
    warming: throughTarget(parts, setup, doors),
  };
}

function setupOf<V>(
  parts: TieredParts<V>,
  refresh: (keys: readonly string[]) => Awaitable<unknown>,
): ThroughSetup<V> {
  const { front, back, env, backBounds, options, onEvent } = parts;
  const { negativeTtlMs, breaker } = options;
  const frontOnly = parts.read === 'front-only';
  return {
    env,
    copies: new FrontCopies<V>({
      env,
      front,
      timeoutMs: parts.frontTimeoutMs,
      // A front that is never filled again is not emptied.
      maxFenced: frontOnly ? Number.POSITIVE_INFINITY : parts.maxFenced,
      onError: parts.onFrontError,
      alone: frontOnly,
      misses: negativeTtlMs === undefined ? undefined : new KnownMisses(env, negativeTtlMs),
    }),
    link: new BackLink({ env, back, bounds: backBounds, breaker, onEvent }),
    freshness: freshnessOf(options, env),
    awaitsCopies: options.populate === 'await',
    source: new SourceName(back, backBounds.timeoutMs),
    frontOnly,
    around: parts.write === 'around',
    // A front that is never filled again keeps what it has, even if a crash makes it old.
    lasting: !frontOnly && !diesWithProcess(front.capabilities),
    own: ownerOf(parts),
    frontTakesExpiry: front.capabilities.ttl,
    backIsAtomic: back.capabilities.atomic === 'batch',
    backBounds,
    holds: new Set<Timer>(),
    // A store that is being closed refreshes nothing.
    refresh: (keys) =>
      void attempt(
        () => refresh(keys),
        () => undefined,
        () => undefined,
      ),
  };
}

/**
 * The fast way of `get`. A value alone does not say how old it is: it is asked for only where the
 * front itself hides what is too old, which it does of all copies that this store has made.
 */
function peekOf<V>(
  { front }: TieredParts<V>,
  { copies, freshness }: ThroughSetup<V>,
): Primitives<V>['peek'] {
  const peek = front.peek?.bind(front);
  if (peek === undefined) return undefined;
  if (freshness !== undefined && (freshness.keepsOld || !isEmpty(front))) return undefined;
  return (key) => (copies.serves(key) ? peek(key) : undefined);
}

/** Whether the front is read alone, and holds all there is of a range: one that follows is not filled with reserved keys. */
function holdsAll<V>({ copies, frontOnly }: ThroughSetup<V>, { lower }: KeyRange): boolean {
  if (!frontOnly || !copies.open) return false;
  return !copies.follows || (lower !== undefined && lower.key >= FIRST_USER_KEY);
}

function isEmpty<V>({ blocking }: Primitives<V>): boolean {
  if (blocking === undefined) return false;
  try {
    for (const _ of blocking.scanKeys({ reverse: false, limit: 1 })) return false;
    return true;
  } catch {
    return false;
  }
}

function capabilitiesOf<V>({ front, back, read }: TieredParts<V>): Capabilities {
  const { feed } = back;
  return Object.freeze({
    ...back.capabilities,
    // What the front evicts is read from the back again, unless that is not asked.
    ...(read === 'front-only' && front.capabilities.evicts && { evicts: true as const }),
    feed: feed !== undefined && back.capabilities.feed,
    blocking: front.blocking !== undefined && back.blocking !== undefined,
  });
}

/**
 * How a written value becomes the front's: through the codec of a back that has one, since a value
 * may come out of it as another (a date as text), and hits must give what misses give.
 */
function ownerOf<V>({ front, back }: TieredParts<V>): ((value: V) => V) | undefined {
  const { codec } = back;
  if (codec !== undefined) return (value) => codec.decode(codec.encode(value));
  // The facade has copied it, or will copy it on its way out.
  if (front.guard !== undefined) return undefined;
  if (front.codec !== undefined) return cloneValue;
  // Bytes are copied in any case; other values are shared because the front was made to share them.
  return (value) => (value instanceof Uint8Array ? (new Uint8Array(value) as V) : value);
}

function diesWithProcess({ blocking, durability }: Capabilities): boolean {
  return blocking && durability === 'memory';
}

function readsNow<V>({ env }: TieredParts<V>, through: Through<V>): NonNullable<Policy<V>['now']> {
  const call = (key: string, fresh: boolean): Call =>
    new Call(env, 'get', key, { timeoutMs: Number.POSITIVE_INFINITY, fresh });
  return {
    copy: (key) => atHand(through.copies([key], call(key, false)))[0],
    fresh: (key) => atHand(through.readOne(key, call(key, true))),
  };
}

async function* settledPages<V>(
  pages: AsyncIterable<readonly Entry<V>[]>,
  through: Through<V>,
  call: Call,
): AsyncGenerator<readonly Entry<V>[]> {
  for await (const page of pages) yield await through.settle(page, call);
}

async function* keysOf<V>(
  pages: AsyncIterable<readonly Entry<V>[]>,
): AsyncGenerator<readonly string[]> {
  for await (const page of pages) yield page.map(({ key }) => key);
}

function blockingPrimitives<V>(
  { env, front, back }: TieredParts<V>,
  setup: ThroughSetup<V>,
  through: Through<V>,
): BlockingPrimitives<V> {
  const { link, freshness } = setup;
  const one = front.blocking as BlockingPrimitives<V>;
  const two = back.blocking as BlockingPrimitives<V>;
  const call = (operation: string, key?: string): Call =>
    new Call(env, operation, key, { timeoutMs: Number.POSITIVE_INFINITY });
  const refuse = (operation: string): void => {
    const refusal = link.refusal(call(operation));
    if (refusal !== undefined) throw refusal;
  };
  function* scan(range: KeyRange): Generator<Entry<V>> {
    if (holdsAll(setup, range))
      for (const entry of one.scan(range)) yield* atHand(through.settle([entry], call('list')));
    else {
      refuse('list');
      yield* two.scan(range);
    }
  }
  return {
    readOne: (key) => atHand(through.readOne(key, call('get', key))),
    scan,
    *scanKeys(range) {
      const alone = holdsAll(setup, range);
      if (alone && freshness !== undefined) for (const { key } of scan(range)) yield key;
      else if (alone) yield* one.scanKeys(range);
      else {
        refuse('keys');
        yield* two.scanKeys(range);
      }
    },
    commit: (writes, operation) => atHand(through.commit(writes, call(operation))),
    ...(two.state !== undefined && { state: two.state.bind(two) }),
  };
}
