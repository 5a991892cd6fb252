import { delegate } from '../kernel/delegate.ts';
import type { Awaitable } from '../store/awaitable.ts';
import { defineStore } from '../store/define-store.ts';
import type { Change, Entry, EntryHead } from '../store/entry.ts';
import { invalidArgument, StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import { afterPrefix, type KeyRange, utf8Length } from '../store/keys.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import type {
  BlockingPrimitives,
  CommitOutcome,
  Feed,
  FeedState,
  Primitives,
  Write,
} from '../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../store/store.ts';

/** Options of `prefixed`. */
export interface PrefixedOptions {
  /** Whether closing closes the store inside; default true. Switch it off for several views of one store. */
  readonly closeInner?: boolean;
}

const RULES: OptionRules = { closeInner: is.boolean };
/** Longest prefix: longer ones would leave the store inside no room for the longest keys. */
const MAX_PREFIX_BYTES = 64;

/**
 * The keys of a store that begin with a prefix, as a store of its own without the prefix: keys,
 * ranges, feed, conditions and errors. Two views with prefixes of which neither begins the other
 * share nothing. What compositions keep in the view is kept under the prefix too, so that clearing
 * the prefix in the store inside clears the view wholly.
 *
 * The prefix has 1 to 64 bytes of UTF-8 and does not begin with U+0000, else `invalid-argument`.
 *
 * ```ts
 * const users = prefixed(store, 'user:');
 * await users.set('1', ada); // 'user:1' in store
 * ```
 */
export function prefixed<V>(
  store: StoreWithBlocking<V>,
  prefix: string,
  options?: PrefixedOptions,
): StoreWithBlocking<V>;
export function prefixed<V>(store: Store<V>, prefix: string, options?: PrefixedOptions): Store<V>;
export function prefixed<V>(
  store: Store<V>,
  prefix: string,
  options: PrefixedOptions = {},
): Store<V> {
  checkPrefix(prefix);
  checkOptions('prefixed', options, RULES);
  return defineStore({
    ...withPrefix(primitivesOf(store, 'prefixed'), prefix),
    close: async () => {
      if (options.closeInner !== false) await store.close();
    },
  });
}

function checkPrefix(prefix: unknown): asserts prefix is string {
  const valid =
    typeof prefix === 'string' &&
    prefix !== '' &&
    prefix.isWellFormed() &&
    prefix.charCodeAt(0) !== 0 &&
    utf8Length(prefix) <= MAX_PREFIX_BYTES;
  if (!valid)
    throw invalidArgument(
      'prefixed',
      'the prefix',
      prefix,
      `a string of 1 to ${MAX_PREFIX_BYTES} bytes of well-formed UTF-8 that does not begin with U+0000`,
    );
}

function withPrefix<V>(inner: Primitives<V>, prefix: string): Primitives<V> {
  const { feed, blocking, bytes, codec, shape } = inner;
  const view = new View(prefix);
  return {
    ...delegate(inner),
    shape: { type: 'prefixed', details: { prefix }, parts: { inner: shape } },
    ...(codec !== undefined && { codec }),
    ...(bytes !== undefined && { bytes: withPrefix(bytes, prefix) }),
    // An empty string is no key, while the prefix alone may be one of the store inside.
    ...(inner.peek !== undefined && {
      peek: (key) => (key === '' ? undefined : inner.peek?.(prefix + key)),
    }),
    readOne: (key, call) =>
      view.run(
        () => inner.readOne(prefix + key, call),
        (entry) => entry && view.entry(entry),
      ),
    ...(inner.readValue !== undefined && {
      readValue: (key, call) => view.run(() => inner.readValue?.(prefix + key, call), same),
    }),
    readMany: (keys, call) =>
      view.run(
        () => inner.readMany(keys.map(view.toInner), call),
        (entries) => entries.map((entry) => entry && view.entry(entry)),
      ),
    scan: (range, call) =>
      view.pages(
        () => inner.scan(view.range(range), call),
        (page) => page.map((entry) => view.entry(entry)),
      ),
    scanKeys: (range, call) =>
      view.pages(
        () => inner.scanKeys(view.range(range), call),
        (page) => page.map(view.toOuter),
      ),
    commit: (writes, call) =>
      view.run(
        () => inner.commit(view.writes(writes), call),
        (done) => view.outcome(done),
      ),
    ...(feed !== undefined && { feed: prefixedFeed(feed, view) }),
    ...(blocking !== undefined && { blocking: prefixedBlocking(blocking, view) }),
    ...(inner.checkValue !== undefined && {
      checkValue: (operation, key, value) =>
        view.runNow(() => inner.checkValue?.(operation, prefix + key, value)),
    }),
  };
}

function prefixedFeed<V>(inner: Feed<V>, view: View): Feed<V> {
  return {
    state: (call) =>
      view.run(
        () => inner.state(call),
        (state) => view.state(state),
      ),
    read: (after, call) =>
      view.pages(
        () => inner.read(after, call),
        (page) => ({ ...page, changes: view.changes(page.changes) }),
      ),
    wait: (after, call) => inner.wait(after, call),
    epochOf: (rev) => inner.epochOf(rev),
  };
}

function prefixedBlocking<V>(inner: BlockingPrimitives<V>, view: View): BlockingPrimitives<V> {
  const { toInner, toOuter } = view;
  const { state } = inner;
  return {
    readOne: (key) =>
      view.runNow(() => {
        const entry = inner.readOne(toInner(key));
        return entry && view.entry(entry);
      }),
    ...(inner.readValue !== undefined && {
      readValue: (key) => view.runNow(() => inner.readValue?.(toInner(key))),
    }),
    scan: (range) =>
      view.each(
        () => inner.scan(view.range(range)),
        (entry) => view.entry(entry),
      ),
    scanKeys: (range) => view.each(() => inner.scanKeys(view.range(range)), toOuter),
    commit: (writes, operation) =>
      view.runNow(() => view.outcome(inner.commit(view.writes(writes), operation))),
    ...(state !== undefined && { state: () => view.state(state.call(inner)) }),
  };
}

const same = <T>(value: T): T => value;

/** The way of keys in and out, in all that they occur in. */
class View {
  readonly #prefix: string;
  readonly #end: string | undefined;
  readonly toInner: (key: string) => string;
  readonly toOuter: (key: string) => string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#end = afterPrefix(prefix);
    this.toInner = (key) => prefix + key;
    this.toOuter = (key) => key.slice(prefix.length);
  }

  range(range: KeyRange): KeyRange {
    const { lower, upper } = range;
    const end = this.#end;
    return {
      ...range,
      lower:
        lower === undefined
          ? { key: this.#prefix, inclusive: false }
          : { ...lower, key: this.#prefix + lower.key },
      ...(upper !== undefined
        ? { upper: { ...upper, key: this.#prefix + upper.key } }
        : end !== undefined && { upper: { key: end, inclusive: false } }),
    };
  }

  entry<E extends EntryHead | Entry<unknown>>(entry: E): E {
    return { ...entry, key: this.toOuter(entry.key) };
  }

  writes<V>(writes: readonly Write<V>[]): Write<V>[] {
    return writes.map((write) => ({ ...write, key: this.toInner(write.key) }));
  }

  outcome(done: CommitOutcome): CommitOutcome {
    const outcomes = done.outcomes.map((one) =>
      one.entry === undefined ? one : { ...one, entry: this.entry(one.entry) },
    );
    return { ...done, outcomes };
  }

  changes<V>(changes: readonly Change<V>[]): Change<V>[] {
    const prefix = this.#prefix;
    const seen: Change<V>[] = [];
    for (const change of changes)
      if (change.key.length > prefix.length && change.key.startsWith(prefix))
        seen.push({ ...change, key: this.toOuter(change.key) });
    return seen;
  }

  /** A view is a source of its own: a copy of another view is no copy of this one. */
  state({ storeId, head }: FeedState): FeedState {
    return { storeId: `${storeId}/${this.#prefix}`, head };
  }

  runNow<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#outward(error);
    }
  }

  run<A, B>(work: () => Awaitable<A>, give: (result: A) => B): Awaitable<B> {
    const result = this.runNow(work);
    if (!(result instanceof Promise)) return give(result);
    return result.then(give, (error: unknown) => {
      throw this.#outward(error);
    });
  }

  async *pages<A, B>(work: () => AsyncIterable<A>, give: (page: A) => B): AsyncGenerator<B> {
    try {
      for await (const page of work()) yield give(page);
    } catch (error) {
      throw this.#outward(error);
    }
  }

  *each<A, B>(work: () => Iterable<A>, give: (item: A) => B): Generator<B> {
    try {
      for (const item of work()) yield give(item);
    } catch (error) {
      throw this.#outward(error);
    }
  }

  /** An error that names a key of the store inside, with the key as it is called here. */
  #outward(error: unknown): unknown {
    if (!(error instanceof StrataError) || error.key?.startsWith(this.#prefix) !== true)
      return error;
    const key = this.toOuter(error.key);
    const message = error.message.replaceAll(JSON.stringify(error.key), JSON.stringify(key));
    const { code, operation, retryable, details } = error;
    return new StrataError(code, message, { operation, key, retryable, details, cause: error });
  }
}
