import { Traffic } from '../../kernel/traffic.ts';
import { Call } from '../../store/call.ts';
import type { Capabilities } from '../../store/capabilities.ts';
import type { BlockingPrimitives, Primitives } from '../../store/primitives.ts';
import { BackLink } from './back-link.ts';
import { NO_PENDING, type TieredStatus } from './events.ts';
import { MARK, Overlay, type OverlaySetup } from './overlay.ts';
import { atHand } from './parts.ts';
import { SourceName } from './source.ts';
import { closeAll, commonOf, openDoors, type Policy, type TieredParts } from './tiered-parts.ts';
import { overlayTarget } from './warming/warm-target.ts';

const NOTHING = new Uint8Array(0);

/** A tiered store whose writes go to the front alone. */
export function overlayPolicy<V>(parts: TieredParts<V>): Policy<V> {
  const { front, back, env } = parts;
  const { backBounds: bounds, onEvent } = parts;
  const link = new BackLink({ env, back, bounds, breaker: parts.options.breaker, onEvent });
  const setup: OverlaySetup<V> = {
    env,
    source: new SourceName(back, parts.backBounds.timeoutMs),
    frontOnly: parts.read === 'front-only',
    link,
    onFrontError: parts.onFrontError,
    // A store with a codec holds nothing but values of its own kind.
    markValue: (value) => (front.codec === undefined ? (NOTHING as V) : value),
    loads: new Map(),
  };
  const traffic = new Traffic(env);
  const doors = openDoors(parts);
  const overlay = new Overlay(setup, doors.front, doors.back);
  const blocking = doors.blocking && new Overlay(setup, doors.blocking.front, doors.blocking.back);
  const { peek, feed, checkValue } = front;
  const primitives: Primitives<V> = {
    ...commonOf(parts),
    capabilities: capabilitiesOf(parts),
    ...(checkValue !== undefined && { checkValue: checkValue.bind(front) }),
    ...(peek !== undefined && { peek: (key) => peek.call(front, key) }),
    readOne: (key, call) => traffic.run(call, () => overlay.readOne(key, call)),
    readMany: (keys, call) => traffic.run(call, () => overlay.readMany(keys, call)),
    scan: (range, call) => front.scan(range, call),
    scanKeys: (range, call) => front.scanKeys(range, call),
    commit: (writes, call) => traffic.run(call, () => overlay.commit(writes, call)),
    ...(feed !== undefined && { feed }),
    ...(blocking !== undefined && { blocking: blockingPrimitives(parts, blocking) }),
    close: async () => {
      await traffic.end(bounds.timeoutMs);
      link.close();
      await closeAll(parts.close());
    },
  };
  const status = (): TieredStatus => ({ back: link.status, fenced: 0, pending: NO_PENDING });
  const warming = overlayTarget(
    { front, back, backStore: parts.options.back },
    (key) => MARK + key,
  );
  return { primitives, status, warming };
}

/** Those of the front; what is evicted from it is seen in the back again, unless that is not asked. */
function capabilitiesOf<V>({ front, back, read }: TieredParts<V>): Capabilities {
  const { evicts, ...capabilities } = front.capabilities;
  return Object.freeze({
    ...capabilities,
    ...(evicts && read === 'front-only' && { evicts }),
    blocking: front.blocking !== undefined && back.blocking !== undefined,
  });
}

function blockingPrimitives<V>(
  { env, front }: TieredParts<V>,
  overlay: Overlay<V>,
): BlockingPrimitives<V> {
  const inner = front.blocking as BlockingPrimitives<V>;
  const call = (operation: string, key?: string): Call =>
    new Call(env, operation, key, { timeoutMs: Number.POSITIVE_INFINITY });
  return {
    readOne: (key) => atHand(overlay.readOne(key, call('get', key))),
    scan: (range) => inner.scan(range),
    scanKeys: (range) => inner.scanKeys(range),
    commit: (writes, operation) => atHand(overlay.commit(writes, call(operation))),
    ...(inner.state !== undefined && { state: inner.state.bind(inner) }),
  };
}
