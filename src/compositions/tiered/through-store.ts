import { Call } from '../../store/call.ts';
import type { Capabilities } from '../../store/capabilities.ts';
import { cloneValue } from '../../store/clone.ts';
import type { Entry } from '../../store/entry.ts';
import type { Timer } from '../../store/env.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { BlockingPrimitives, Primitives } from '../../store/primitives.ts';
import { NO_PENDING, type TieredStatus } from './events.ts';
import { FrontCopies } from './front-copies.ts';
import { atHand, BackCall, backError } from './parts.ts';
import { SourceName } from './source.ts';
import { Through } from './through.ts';
import type { ThroughSetup } from './through-setup.ts';
import {
  closeAll,
  commonOf,
  openDoors,
  type Policy,
  type TieredParts,
  Traffic,
} from './tiered-parts.ts';

/** A tiered store whose writes go to the back. */
export function throughPolicy<V>(parts: TieredParts<V>): Policy<V> {
  const { front, back, env } = parts;
  const copies = new FrontCopies<V>({
    env,
    front,
    timeoutMs: parts.frontTimeoutMs,
    // A front that is never filled again is not emptied.
    maxFenced: parts.read === 'front-only' ? Number.POSITIVE_INFINITY : parts.maxFenced,
    onError: parts.onFrontError,
  });
  const frontOnly = parts.read === 'front-only';
  const dies = diesWithProcess(front.capabilities);
  const source = new SourceName(back, parts.backBounds.timeoutMs);
  const setup: ThroughSetup<V> = {
    env,
    copies,
    source,
    frontOnly,
    around: parts.write === 'around',
    // A front that is never filled again keeps what it has, even if a crash makes it old.
    lasting: !frontOnly && !dies,
    own: ownerOf(parts),
    frontTakesExpiry: front.capabilities.ttl,
    backIsAtomic: back.capabilities.atomic === 'batch',
    backBounds: parts.backBounds,
    holds: new Set<Timer>(),
  };
  const doors = openDoors(parts);
  const through = new Through(setup, doors.front, doors.back);
  const blocking = doors.blocking && new Through(setup, doors.blocking.front, doors.blocking.back);
  const traffic = new Traffic(env);
  const peek = front.peek?.bind(front);
  const primitives: Primitives<V> = {
    ...commonOf(parts),
    capabilities: capabilitiesOf(parts),
    ...(back.checkValue !== undefined && { checkValue: back.checkValue.bind(back) }),
    ...(peek !== undefined && {
      peek: (key) => (copies.serves(key) ? peek(key) : undefined),
    }),
    readOne: (key, call) => traffic.run(call, () => through.readOne(key, call)),
    readMany: (keys, call) => traffic.run(call, () => through.readMany(keys, call)),
    scan: (range, call) =>
      frontOnly
        ? settledPages(front.scan(range, call), through, call)
        : bounded(back.scan(range, call), call, parts.backBounds.timeoutMs),
    scanKeys: (range, call) =>
      frontOnly
        ? front.scanKeys(range, call)
        : bounded(back.scanKeys(range, call), call, parts.backBounds.timeoutMs),
    commit: (writes, call) => traffic.run(call, () => through.commit(writes, call)),
    ...(back.feed !== undefined && { feed: back.feed }),
    ...(blocking !== undefined && { blocking: blockingPrimitives(parts, blocking, frontOnly) }),
    close: async () => {
      await traffic.end(parts.backBounds.timeoutMs);
      for (const timer of setup.holds) timer.cancel();
      setup.holds.clear();
      await copies.close();
      const stores = parts.close();
      if (stores.length === 0 || !dies) await copies.leave(doors.front);
      await closeAll(stores);
    },
  };
  const status = (): TieredStatus => ({
    back: { state: 'up' },
    fenced: copies.fenced,
    pending: NO_PENDING,
  });
  return { primitives, status };
}

function capabilitiesOf<V>({ front, back }: TieredParts<V>): Capabilities {
  const { feed } = back;
  return Object.freeze({
    ...back.capabilities,
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

/** Pages of the back, each within the bound of the back. */
async function* bounded<T>(
  pages: AsyncIterable<T>,
  call: Call,
  timeoutMs: number,
): AsyncGenerator<T> {
  const steps = pages[Symbol.asyncIterator]();
  // The call of an iteration has no bound of its own: each of its steps has this one.
  const bounds = { timeoutMs, usualMs: Number.POSITIVE_INFINITY };
  let whole = false;
  try {
    for (;;) {
      const step = await new BackCall(call, bounds).run(() => steps.next());
      whole = step.done === true;
      if (step.done === true) return;
      yield step.value;
    }
  } catch (error) {
    throw backError(error);
  } finally {
    // A step that hangs is not waited for.
    if (!whole) steps.return?.()?.then(undefined, () => {});
  }
}

async function* settledPages<V>(
  pages: AsyncIterable<readonly Entry<V>[]>,
  through: Through<V>,
  call: Call,
): AsyncGenerator<readonly Entry<V>[]> {
  for await (const page of pages) yield await through.settle(page, call);
}

function blockingPrimitives<V>(
  { env, front, back }: TieredParts<V>,
  through: Through<V>,
  frontOnly: boolean,
): BlockingPrimitives<V> {
  const one = front.blocking as BlockingPrimitives<V>;
  const two = back.blocking as BlockingPrimitives<V>;
  const call = (operation: string, key?: string): Call =>
    new Call(env, operation, key, { timeoutMs: Number.POSITIVE_INFINITY });
  return {
    readOne: (key) => atHand(through.readOne(key, call('get', key))),
    *scan(range: KeyRange) {
      if (!frontOnly) return yield* two.scan(range);
      for (const entry of one.scan(range)) yield* atHand(through.settle([entry], call('list')));
    },
    scanKeys: (range) => (frontOnly ? one : two).scanKeys(range),
    commit: (writes, operation) => atHand(through.commit(writes, call(operation))),
    ...(two.state !== undefined && { state: two.state.bind(two) }),
  };
}
