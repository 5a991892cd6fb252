import { defineStore } from '../../src/store/define-store.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { BlockingPrimitives, Feed, Primitives } from '../../src/store/primitives.ts';
import type { Store } from '../../src/store/store.ts';

/** A step of the store that is about to be taken, or whose answer is about to be given. */
export type Wait = (step: string) => Promise<unknown>;

/**
 * The same store, answering late: it waits before each step and again before it answers. Without
 * `wait` for no longer than it takes to run the promises at hand; with a scheduler's `schedule` in
 * whatever order that chooses. The feed answers as before. Without a blocking half, unless asked.
 */
export function lateStore<V>(
  store: Store<V>,
  wait: Wait = () => Promise.resolve(),
  options: { readonly name?: string; readonly blocking?: boolean } = {},
): Store<V> {
  const inner = primitivesOf(store);
  const { name = 'late', blocking = false } = options;
  const late = async <T>(step: string, work: () => T | Promise<T>): Promise<T> => {
    await wait(`${name}: ${step}`);
    const result = await work();
    await wait(`${name}: ${step} answers`);
    return result;
  };
  const { peek: _peek, readValue: _readValue, blocking: half, feed, ...rest } = inner;
  const primitives: Primitives<V> = {
    ...rest,
    shape: { type: name, parts: { inner: inner.shape } },
    capabilities: Object.freeze({ ...inner.capabilities, blocking }),
    readOne: (key, call) => late(`read ${key}`, () => inner.readOne(key, call)),
    readMany: (keys, call) => late(`read ${keys.join()}`, () => inner.readMany(keys, call)),
    scan: (range, call) => latePages(inner.scan(range, call), () => wait(`${name}: scan`)),
    scanKeys: (range, call) => latePages(inner.scanKeys(range, call), () => wait(`${name}: scan`)),
    commit: (writes, call) =>
      late(`commit ${writes.map(({ type, key }) => `${type} ${key}`).join()}`, () => {
        call.throwIfEnded();
        return inner.commit(writes, call);
      }),
    ...(feed !== undefined && { feed: lateFeed(feed) }),
    ...(blocking && { blocking: half as BlockingPrimitives<V> }),
  };
  return defineStore(primitives);
}

function lateFeed<V>(feed: Feed<V>): Feed<V> {
  return {
    state: async (call) => feed.state(call),
    read: (after, call) => feed.read(after, call),
    wait: (after, call) => feed.wait(after, call),
    epochOf: (rev) => feed.epochOf(rev),
  };
}

async function* latePages<T>(
  pages: AsyncIterable<T>,
  wait: () => Promise<unknown>,
): AsyncGenerator<T> {
  for await (const page of pages) {
    await wait();
    yield page;
  }
}
