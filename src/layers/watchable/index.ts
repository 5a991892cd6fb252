import { delegate } from '../../kernel/delegate.ts';
import { cloneValue } from '../../store/clone.ts';
import { defineStore } from '../../store/define-store.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { Watched } from './watched.ts';

/** Options of `watchable`. */
export interface WatchableOptions {
  /** Bound of the log of whole commits, in bytes; default 4 MiB. */
  readonly logBytes?: number;
  /** Deletes that are remembered for readers that are behind; default 100,000. */
  readonly tombstones?: number;
  /** Whether closing closes the store inside; default true. */
  readonly closeInner?: boolean;
}

const RULES: OptionRules = { logBytes: is.count, tombstones: is.count, closeInner: is.boolean };

/**
 * A store that has no feed, with a feed of the writes that go through here: `watch`, `cursor`,
 * replication and whatever else follows a store. It sees nothing that is written past it, in
 * another process or to the store inside; a second opening of the same store takes it over, and the
 * first then fails with `conflict`, within a second. The history is in memory: each opening begins a
 * new epoch, so cursors of an earlier one fail with `cursor-expired` and readers begin with the
 * whole state; the store's id stays. So it does after a write of which neither the outcome nor what
 * stands now can be told.
 *
 * Memory: a note for each key that was written since the opening, and the log. While a page of the
 * feed is read from the store, writes wait. There is no synchronous view.
 *
 * Errors: `invalid-argument` for a store that has a feed of its own, or evicts.
 *
 * ```ts
 * const store = watchable(file({ path: './data' }));
 * for await (const { writes } of store.watch()) …
 * ```
 */
export function watchable<V>(store: Store<V>, options: WatchableOptions = {}): Store<V> {
  checkOptions('watchable', options, RULES);
  const inner = primitivesOf(store, 'watchable');
  const { feed, evicts } = inner.capabilities;
  if (feed || evicts === true)
    throw invalidArgument(
      'watchable',
      'the store',
      `a store of the type ${inner.shape.type}`,
      feed ? 'a store without a feed of its own' : 'a store that does not evict',
    );
  const watched = new Watched(inner, {
    logBytes: options.logBytes,
    tombstones: options.tombstones ?? 100_000,
  });
  return defineStore({
    ...withFeed(inner, watched),
    close: async () => {
      watched.close();
      if (options.closeInner !== false) await store.close();
    },
  });
}

function withFeed<V>(inner: Primitives<V>, watched: Watched<V>): Primitives<V> {
  const { blocking: _, ...passed } = delegate(inner);
  const { codec, capabilities } = inner;
  return {
    ...passed,
    // A commit may wait before its values are taken, and the log hands them out again.
    guard: inner.guard?.bind(inner) ?? cloneValue,
    ...(codec !== undefined && { codec }),
    shape: { type: 'watchable', parts: { inner: inner.shape } },
    capabilities: Object.freeze({ ...capabilities, feed: true, blocking: false }),
    readOne: async (key, call) => {
      const entry = await inner.readOne(key, call);
      return entry && watched.withRev(entry);
    },
    readMany: async (keys, call) => {
      const entries = await inner.readMany(keys, call);
      return entries.map((entry) => entry && watched.withRev(entry));
    },
    async *scan(range, call) {
      for await (const page of inner.scan(range, call))
        yield page.map((entry) => watched.withRev(entry));
    },
    commit: (writes, call) => watched.commit(writes, call),
    feed: watched,
  };
}
