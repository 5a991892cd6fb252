import { blockingStore } from './blocking-facade.ts';
import type { BlockingStore } from './blocking-store.ts';
import { type Call, DEFAULT_TIMEOUT_MS } from './call.ts';
import type { Capabilities } from './capabilities.ts';
import {
  CLEAR_RULES,
  checkFunction,
  RANGE_RULES,
  SET_UNCONDITIONAL_RULES,
  unsupported,
  WATCH_RULES,
} from './checks.ts';
import { copyRecordsRange, tellsOf } from './copy-records.ts';
import type { Commit, Cursor, Entry, EntryHead } from './entry.ts';
import { failure } from './errors.ts';
import { fromCursor, toCursor } from './feed/cursor.ts';
import { watchFeed } from './feed/watch.ts';
import { PRIMITIVES } from './internals.ts';
import { type KeyRange, toKeyRange } from './keys.ts';
import { managedIterable } from './managed-iterable.ts';
import type {
  BatchResult,
  BatchWrite,
  CallOptions,
  DeleteOptions,
  Range,
  ReadOptions,
  SetOptions,
  WatchOptions,
} from './operations.ts';
import { checkOptions, type OptionRules, READ_RULES } from './options.ts';
import type { Feed, Primitives } from './primitives.ts';
import { handOutEntry, handOutValue } from './results.ts';
import { type CheckOpen, SharedOperations } from './shared-operations.ts';
import { SingleLoad } from './single-load.ts';
import type { Store, StoreWithBlocking } from './store.ts';
import { checkUpdates, updateEntry } from './update.ts';

/** Deletes of `clear` go in batches of so many keys. */
const CLEAR_BATCH_KEYS = 1_000;

/**
 * Makes a `Store` of what a driver, layer or composition supplies: checks keys, values and options
 * (an unknown option name is refused), refuses what the capabilities do not offer, guards a closed
 * store, applies timeouts and signals, and derives everything else.
 */
export function defineStore<V>(
  primitives: Primitives<V> & { readonly blocking: object },
): StoreWithBlocking<V>;
export function defineStore<V>(primitives: Primitives<V>): Store<V>;
export function defineStore<V>(primitives: Primitives<V>): Store<V> {
  return new DefinedStore(primitives);
}

class DefinedStore<V> implements Store<V> {
  readonly capabilities: Capabilities;
  readonly blocking?: BlockingStore<V>;
  readonly #primitives: Primitives<V>;
  readonly #shared: SharedOperations<V>;
  readonly #loads = new SingleLoad<V>(this);
  readonly #iterating = new Set<Call>();
  #closing: Promise<void> | undefined;

  constructor(primitives: Primitives<V>) {
    const checkOpen: CheckOpen = (operation, key) => this.#checkOpen(operation, key);
    this.#primitives = primitives;
    this.#shared = new SharedOperations(primitives, primitives, checkOpen);
    this.capabilities = primitives.capabilities;
    Object.defineProperty(this, PRIMITIVES, { value: primitives });
    const { blocking } = primitives;
    if (blocking !== undefined) this.blocking = blockingStore(primitives, blocking, checkOpen);
  }

  get(key: string, options?: ReadOptions): Promise<V | undefined> {
    const primitives = this.#primitives;
    if (options === undefined && this.#closing === undefined && primitives.peek !== undefined) {
      const value = primitives.peek(key);
      // What was found has a valid key, unless it is one of the reserved.
      if (value !== undefined && key.charCodeAt(0) !== 0)
        return Promise.resolve(handOutValue(primitives, value));
    }
    return this.#get(key, options);
  }

  async #get(key: string, options: ReadOptions | undefined): Promise<V | undefined> {
    const primitives = this.#primitives;
    const call = this.#shared.beginKey('get', key, options, READ_RULES);
    let value: V | undefined;
    if (primitives.readValue !== undefined) {
      const found = primitives.readValue(key, call);
      value = found instanceof Promise ? await call.guard(found) : found;
    } else {
      const found = primitives.readOne(key, call);
      value = (found instanceof Promise ? await call.guard(found) : found)?.value;
    }
    return value === undefined ? undefined : handOutValue(primitives, value);
  }

  async getEntry(key: string, options?: ReadOptions): Promise<Entry<V> | undefined> {
    return this.#shared.getEntry(key, options);
  }

  async getMany(keys: Iterable<string>, options?: ReadOptions): Promise<Map<string, V>> {
    return this.#shared.getMany(keys, options);
  }

  async getEntries(keys: Iterable<string>, options?: ReadOptions): Promise<Map<string, Entry<V>>> {
    return this.#shared.getEntries(keys, options);
  }

  async has(key: string, options?: ReadOptions): Promise<boolean> {
    return this.#shared.has(key, options);
  }

  async hasMany(keys: Iterable<string>, options?: ReadOptions): Promise<Set<string>> {
    return this.#shared.hasMany(keys, options);
  }

  async set(key: string, value: V, options?: SetOptions): Promise<EntryHead> {
    return this.#shared.set(key, value, options);
  }

  async delete(key: string, options?: DeleteOptions): Promise<boolean> {
    return this.#shared.delete(key, options);
  }

  async setMany(
    pairs: Iterable<readonly [string, V]>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<BatchResult> {
    return this.#shared.setMany(pairs, options);
  }

  async deleteMany(keys: Iterable<string>, options?: CallOptions): Promise<number> {
    return this.#shared.deleteMany(keys, options);
  }

  async batch(writes: Iterable<BatchWrite<V>>, options?: CallOptions): Promise<BatchResult> {
    return this.#shared.batch(writes, options);
  }

  async getOrSet(
    key: string,
    loader: () => V | Promise<V>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<V> {
    const call = this.#shared.beginKey('getOrSet', key, options, SET_UNCONDITIONAL_RULES);
    checkFunction('getOrSet', key, loader, 'a function that gives the value');
    const primitives = this.#primitives;
    const found = await call.chain(primitives.readOne(key, call), (entry) => entry);
    if (found !== undefined) return handOutValue(primitives, found.value);
    const { signal: _, timeoutMs: __, ...written } = options ?? {};
    const loaded = await call.guard(this.#loads.load(key, loader, written));
    if (primitives.guard !== undefined) return primitives.guard(loaded);
    // The callers of one load share its value; a store without a guard reads a fresh one for each.
    const stored = await call.chain(primitives.readOne(key, call), (entry) => entry);
    return stored === undefined ? loaded : stored.value;
  }

  async clear(options?: CallOptions & { readonly prefix?: string }): Promise<number> {
    this.#begin('clear', options, CLEAR_RULES);
    const { prefix = '' } = options ?? {};
    const forget = (): Promise<number> =>
      this.#remove(copyRecordsRange(), options, (key) => tellsOf(key, prefix));
    await forget();
    const cleared = await this.#remove(toKeyRange(options), options);
    // Whoever copies into this store may have begun a new record meanwhile.
    await forget();
    return cleared;
  }

  async #remove(
    range: KeyRange,
    options: (CallOptions & { readonly prefix?: string }) | undefined,
    isDoomed: (key: string) => boolean = () => true,
  ): Promise<number> {
    const scan = (call: Call): AsyncIterable<readonly string[]> =>
      this.#primitives.scanKeys(range, call);
    let cleared = 0;
    let doomed: string[] = [];
    const remove = async (): Promise<void> => {
      const call = this.#shared.begin('clear', options, CLEAR_RULES);
      cleared += await this.#shared.remove(doomed, call);
      doomed = [];
    };
    for await (const key of this.#iterate('clear', options, scan, (key) => key)) {
      if (isDoomed(key)) doomed.push(key);
      if (doomed.length >= CLEAR_BATCH_KEYS) await remove();
    }
    if (doomed.length > 0) await remove();
    return cleared;
  }

  async update(
    key: string,
    fn: (value: V | undefined) => V | undefined | Promise<V | undefined>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<Entry<V> | undefined> {
    const call = this.#shared.beginKey('update', key, options, SET_UNCONDITIONAL_RULES);
    checkFunction('update', key, fn, 'a function from the old value to the new one');
    checkUpdates(this.#primitives, key);
    return call.guard(updateEntry(this.#primitives, key, fn, options, call));
  }

  list(range?: Range & CallOptions): AsyncIterable<Entry<V>> {
    this.#begin('list', range, RANGE_RULES);
    return this.#iterate(
      'list',
      range,
      (call) => this.#primitives.scan(toKeyRange(range), call),
      (entry) => handOutEntry(this.#primitives, entry),
    );
  }

  keys(range?: Range & CallOptions): AsyncIterable<string> {
    this.#begin('keys', range, RANGE_RULES);
    return this.#iterate(
      'keys',
      range,
      (call) => this.#primitives.scanKeys(toKeyRange(range), call),
      (key) => key,
    );
  }

  watch(options: WatchOptions = {}): AsyncIterable<Commit<V>> {
    this.#begin('watch', options, WATCH_RULES);
    const feed = this.#feed('watch');
    const { after, prefix } = options;
    const known = after === undefined || after === 'start' ? undefined : fromCursor('watch', after);
    // The head is taken now, not at the first step: what is written in between belongs to the watch.
    const head =
      after === undefined
        ? Promise.resolve(feed.state(this.#shared.begin('watch', options, WATCH_RULES)))
        : undefined;
    head?.catch(() => {});
    const { guard } = this.#primitives;
    return this.#iterate(
      'watch',
      { ...options, timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY },
      async function* (call) {
        const from = head === undefined ? known : (await head).head;
        for await (const commit of watchFeed(feed, call, { after: from, prefix, guard }))
          yield [commit];
      },
      (commit) => commit,
    );
  }

  async cursor(options?: CallOptions): Promise<Cursor> {
    const call = this.#shared.begin('cursor', options);
    return call.chain(this.#feed('cursor').state(call), ({ head }) => toCursor(head));
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const call of this.#iterating) call.end('closed');
      await this.#primitives.close();
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Checks state and options of what is bounded step by step. */
  #begin(operation: string, options: CallOptions | undefined, rules: OptionRules): void {
    this.#checkOpen(operation);
    checkOptions(operation, options, rules);
  }

  #checkOpen(operation: string, key?: string): void {
    if (this.#closing !== undefined)
      throw failure('closed', operation, 'the store is closed', { key });
  }

  #feed(operation: string): Feed<V> {
    const { feed } = this.#primitives;
    if (feed === undefined || !this.capabilities.feed)
      throw unsupported(this.#primitives, operation, undefined, 'feed');
    return feed;
  }

  #iterate<T>(
    operation: string,
    options: CallOptions | undefined,
    source: (call: Call) => AsyncIterable<readonly T[]>,
    give: (item: T) => T,
  ): AsyncIterable<T> {
    const init = {
      env: this.#primitives.env,
      operation,
      bounds: { ...options },
      defaultTimeoutMs: this.#primitives.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      running: this.#iterating,
    };
    return managedIterable({ ...init, checkOpen: () => this.#checkOpen(operation), source, give });
  }
}
