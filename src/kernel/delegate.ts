import type { BlockingPrimitives, Feed, Primitives } from '../store/primitives.ts';

/**
 * A store's primitives as a plain object that passes every call on, whatever they are made of:
 * a layer spreads it and replaces what it changes. Without `bytes` and `codec`, which a layer must
 * decide on.
 */
export function delegate<V>(inner: Primitives<V>): Primitives<V> {
  const { shape, capabilities, env, timeoutMs, feed, blocking } = inner;
  return {
    shape,
    capabilities,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(inner.peek !== undefined && { peek: (key) => inner.peek?.(key) }),
    readOne: (key, call) => inner.readOne(key, call),
    ...(inner.readValue !== undefined && {
      readValue: (key, call) => inner.readValue?.(key, call),
    }),
    readMany: (keys, call) => inner.readMany(keys, call),
    scan: (range, call) => inner.scan(range, call),
    scanKeys: (range, call) => inner.scanKeys(range, call),
    commit: (writes, call) => inner.commit(writes, call),
    ...(feed !== undefined && { feed: delegateFeed(feed) }),
    ...(blocking !== undefined && { blocking: delegateBlocking(blocking) }),
    ...(inner.checkValue !== undefined && {
      checkValue: (operation, key, value) => inner.checkValue?.(operation, key, value),
    }),
    ...(inner.guard !== undefined && { guard: inner.guard.bind(inner) }),
    close: () => inner.close(),
  };
}

export function delegateFeed<V>(inner: Feed<V>): Feed<V> {
  return {
    state: (call) => inner.state(call),
    read: (after, call) => inner.read(after, call),
    wait: (after, call) => inner.wait(after, call),
    epochOf: (rev) => inner.epochOf(rev),
  };
}

export function delegateBlocking<V>(inner: BlockingPrimitives<V>): BlockingPrimitives<V> {
  const { state } = inner;
  return {
    readOne: (key) => inner.readOne(key),
    ...(inner.readValue !== undefined && { readValue: (key) => inner.readValue?.(key) }),
    scan: (range) => inner.scan(range),
    scanKeys: (range) => inner.scanKeys(range),
    commit: (writes, operation) => inner.commit(writes, operation),
    ...(state !== undefined && { state: () => state.call(inner) }),
  };
}
