import { delegate, delegateFeed } from '../../kernel/delegate.ts';
import { defineStore } from '../../store/define-store.ts';
import { failure, invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Feed, Primitives } from '../../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { Slots } from './slots.ts';

/** Options of `bounded`. */
export interface BoundedOptions {
  /** Calls of the store inside that are under way at once; each page of a list counts as one. Default no bound. */
  readonly maxConcurrent?: number;
  /** Calls that wait for others to end; one more fails with `overloaded`. Default 10,000. */
  readonly maxWaiting?: number;
  /** Largest value, in bytes; a larger one is refused with `invalid-argument`. Default the bound of the store inside. */
  readonly maxValueBytes?: number;
  /** Whether closing closes the store inside; default true. */
  readonly closeInner?: boolean;
}

const RULES: OptionRules = {
  maxConcurrent: is.positive,
  maxWaiting: is.count,
  maxValueBytes: is.positive,
  closeInner: is.boolean,
};

/**
 * The same store within bounds. At most `maxConcurrent` calls are made of it at once; more wait in
 * the order in which they came, and no longer than their own deadline: a write that ends in the
 * wait was not applied. Waiting for news in a watch takes no place, and the synchronous view, where
 * each call is over when it returns, is not held back. Values that are no bytes are measured by the
 * store's codec; without one they cannot be, and are refused where `maxValueBytes` is given.
 *
 * ```ts
 * const store = bounded(remote, { maxConcurrent: 16, maxValueBytes: 1_000_000 });
 * ```
 */
export function bounded<V>(
  store: StoreWithBlocking<V>,
  options: BoundedOptions,
): StoreWithBlocking<V>;
export function bounded<V>(store: Store<V>, options: BoundedOptions): Store<V>;
export function bounded<V>(store: Store<V>, options: BoundedOptions): Store<V> {
  checkOptions('bounded', options, RULES);
  const { maxConcurrent = Number.POSITIVE_INFINITY, maxWaiting = 10_000, maxValueBytes } = options;
  const inner = primitivesOf(store, 'bounded');
  const slots = new Slots(maxConcurrent, maxWaiting);
  const { closeInner: _, ...details } = options;
  return defineStore({
    ...withBounds(inner, slots, maxValueBytes),
    shape: { type: 'bounded', details: { ...details }, parts: { inner: inner.shape } },
    close: async () => {
      if (options.closeInner !== false) await store.close();
    },
  });
}

function withBounds<V>(
  inner: Primitives<V>,
  slots: Slots,
  maxValueBytes: number | undefined,
): Primitives<V> {
  const { feed, bytes, codec, capabilities } = inner;
  const most = Math.min(
    maxValueBytes ?? Number.POSITIVE_INFINITY,
    capabilities.maxValueBytes ?? Number.POSITIVE_INFINITY,
  );
  return {
    ...delegate(inner),
    capabilities: Object.freeze({
      ...capabilities,
      ...(most !== Number.POSITIVE_INFINITY && { maxValueBytes: most }),
    }),
    ...(codec !== undefined && { codec }),
    ...(bytes !== undefined && { bytes: withBounds(bytes, slots, maxValueBytes) }),
    readOne: (key, call) => slots.run(call, () => inner.readOne(key, call)),
    ...(inner.readValue !== undefined && {
      readValue: (key, call) => slots.run(call, () => inner.readValue?.(key, call)),
    }),
    readMany: (keys, call) => slots.run(call, () => inner.readMany(keys, call)),
    scan: (range, call) => slots.each(call, inner.scan(range, call)),
    scanKeys: (range, call) => slots.each(call, inner.scanKeys(range, call)),
    commit: (writes, call) => slots.run(call, () => inner.commit(writes, call)),
    ...(feed !== undefined && { feed: boundedFeed(feed, slots) }),
    ...(maxValueBytes !== undefined && {
      checkValue: (operation: string, key: string, value: V) => {
        inner.checkValue?.(operation, key, value);
        checkSize(inner, operation, key, value, maxValueBytes);
      },
    }),
  };
}

function boundedFeed<V>(feed: Feed<V>, slots: Slots): Feed<V> {
  return {
    ...delegateFeed(feed),
    state: (call) => slots.run(call, () => feed.state(call)),
    read: (after, call) => slots.each(call, feed.read(after, call)),
  };
}

function checkSize<V>(
  { codec }: Primitives<V>,
  operation: string,
  key: string,
  value: V,
  maxValueBytes: number,
): void {
  const encoded = value instanceof Uint8Array ? value : codec?.encode(value);
  if (encoded === undefined)
    throw invalidArgument(
      operation,
      'the value',
      value,
      'bytes, as the store has no codec that could tell its size',
      key,
    );
  if (encoded.length > maxValueBytes)
    throw failure(
      'invalid-argument',
      operation,
      `the value has ${encoded.length} bytes; expected at most ${maxValueBytes}`,
      { key },
    );
}
