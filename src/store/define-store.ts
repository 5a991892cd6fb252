import { BlockingFacade } from './blocking-facade.ts';
import type { BlockingStore } from './blocking-store.ts';
import { Call, DEFAULT_TIMEOUT_MS } from './call.ts';
import type { Capabilities } from './capabilities.ts';
import {
  checkClear,
  checkFunction,
  checkKeys,
  checkPairs,
  checkRange,
  checkWatch,
  DELETE_RULES,
  SET_RULES,
  SET_UNCONDITIONAL_RULES,
  toDeleteWrite,
  toSetWrite,
  toWrites,
} from './checks.ts';
import type { Commit, Cursor, Entry, EntryHead } from './entry.ts';
import { StrataError } from './errors.ts';
import { fromCursor, toCursor } from './feed/cursor.ts';
import { watchFeed } from './feed/watch.ts';
import { PRIMITIVES } from './internals.ts';
import { checkKey, toKeyRange } from './keys.ts';
import { managedIterable } from './managed-iterable.ts';
import type {
  BatchResult,
  BatchWrite,
  CallOptions,
  DeleteOptions,
  Range,
  SetOptions,
  WatchOptions,
} from './operations.ts';
import { CALL_RULES, checkOptions, type OptionRules } from './options.ts';
import type { Awaitable, CommitOutcome, Feed, Primitives, Write } from './primitives.ts';
import { handOutEntry, handOutValue, toBatchResult } from './results.ts';
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
  readonly #timeoutMs: number;
  readonly #maxKeyBytes: number;
  readonly #loads = new SingleLoad<V>(this);
  readonly #iterating = new Set<Call>();
  #closing: Promise<void> | undefined;

  constructor(primitives: Primitives<V>) {
    this.#primitives = primitives;
    this.capabilities = primitives.capabilities;
    this.#timeoutMs = primitives.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxKeyBytes = primitives.capabilities.maxKeyBytes;
    Object.defineProperty(this, PRIMITIVES, { value: primitives });
    const { blocking } = primitives;
    if (blocking !== undefined)
      this.blocking = new BlockingFacade(primitives, blocking, (operation, key) =>
        this.#checkOpen(operation, key),
      );
  }

  get(key: string, options?: CallOptions): Promise<V | undefined> {
    const primitives = this.#primitives;
    if (options === undefined && this.#closing === undefined && primitives.peek !== undefined) {
      const value = primitives.peek(key);
      // What was found has a valid key, unless it is one of the reserved.
      if (value !== undefined && key.charCodeAt(0) !== 0)
        return Promise.resolve(handOutValue(primitives, value));
    }
    return this.#get(key, options);
  }

  async #get(key: string, options: CallOptions | undefined): Promise<V | undefined> {
    const primitives = this.#primitives;
    const call = this.#begin('get', key, options);
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

  async getEntry(key: string, options?: CallOptions): Promise<Entry<V> | undefined> {
    const call = this.#begin('getEntry', key, options);
    const found = this.#primitives.readOne(key, call);
    const entry = found instanceof Promise ? await call.guard(found) : found;
    return entry && handOutEntry(this.#primitives, entry);
  }

  async getMany(keys: Iterable<string>, options?: CallOptions): Promise<Map<string, V>> {
    const entries = await this.#readMany('getMany', keys, options);
    return new Map(
      entries.map((entry) => [entry.key, handOutValue(this.#primitives, entry.value)]),
    );
  }

  async getEntries(keys: Iterable<string>, options?: CallOptions): Promise<Map<string, Entry<V>>> {
    const entries = await this.#readMany('getEntries', keys, options);
    return new Map(entries.map((entry) => [entry.key, handOutEntry(this.#primitives, entry)]));
  }

  async has(key: string, options?: CallOptions): Promise<boolean> {
    const call = this.#begin('has', key, options);
    const found = this.#primitives.readOne(key, call);
    return (found instanceof Promise ? await call.guard(found) : found) !== undefined;
  }

  async hasMany(keys: Iterable<string>, options?: CallOptions): Promise<Set<string>> {
    const entries = await this.#readMany('hasMany', keys, options);
    return new Set(entries.map((entry) => entry.key));
  }

  async getOrSet(
    key: string,
    loader: () => V | Promise<V>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<V> {
    const call = this.#begin('getOrSet', key, options, SET_UNCONDITIONAL_RULES);
    checkFunction('getOrSet', key, loader, 'a function that gives the value');
    const primitives = this.#primitives;
    const reading = primitives.readOne(key, call);
    const found = reading instanceof Promise ? await call.guard(reading) : reading;
    if (found !== undefined) return handOutValue(primitives, found.value);
    const { signal: _, timeoutMs: __, ...written } = options ?? {};
    const loaded = await call.guard(this.#loads.load(key, loader, written));
    if (primitives.guard !== undefined) return primitives.guard(loaded);
    // The callers of one load share its value; a store without a guard reads a fresh one for each.
    const again = primitives.readOne(key, call);
    const stored = again instanceof Promise ? await call.guard(again) : again;
    return stored === undefined ? loaded : stored.value;
  }

  async set(key: string, value: V, options?: SetOptions): Promise<EntryHead> {
    const call = this.#begin('set', key, options, SET_RULES);
    const write = toSetWrite(this.#primitives, 'set', key, value, options);
    const { outcomes } = await this.#commit([write], call);
    return { ...(outcomes[0]?.entry as EntryHead) };
  }

  async delete(key: string, options?: DeleteOptions): Promise<boolean> {
    const call = this.#begin('delete', key, options, DELETE_RULES);
    const write = toDeleteWrite(this.#primitives, 'delete', key, options?.if);
    const { outcomes } = await this.#commit([write], call);
    return outcomes[0]?.existed === true;
  }

  async setMany(
    pairs: Iterable<readonly [string, V]>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<BatchResult> {
    const call = this.#begin('setMany', undefined, options, SET_UNCONDITIONAL_RULES);
    const writes = checkPairs('setMany', pairs).map(([key, value]) =>
      toSetWrite(this.#primitives, 'setMany', key, value, options),
    );
    return toBatchResult(writes, await this.#commit(writes, call));
  }

  async deleteMany(keys: Iterable<string>, options?: CallOptions): Promise<number> {
    const call = this.#begin('deleteMany', undefined, options);
    const writes = checkKeys(this.#primitives as Primitives<unknown>, 'deleteMany', keys).map(
      (key): Write<V> => ({ type: 'delete', key }),
    );
    const { outcomes } = await this.#commit(writes, call);
    return outcomes.filter((outcome) => outcome.existed).length;
  }

  async clear(options?: CallOptions & { readonly prefix?: string }): Promise<number> {
    this.#checkOpen('clear');
    const range = checkClear(options);
    const bounds = boundsOf(options);
    const scan = (call: Call): AsyncIterable<readonly string[]> =>
      this.#primitives.scanKeys(range, call);
    let cleared = 0;
    let doomed: Write<V>[] = [];
    const remove = async (): Promise<void> => {
      const { outcomes } = await this.#commit(doomed, this.#begin('clear', undefined, bounds));
      cleared += outcomes.filter((outcome) => outcome.existed).length;
      doomed = [];
    };
    for await (const key of this.#iterate('clear', bounds, scan, (key) => key)) {
      doomed.push({ type: 'delete', key });
      if (doomed.length >= CLEAR_BATCH_KEYS) await remove();
    }
    await remove();
    return cleared;
  }

  async update(
    key: string,
    fn: (value: V | undefined) => V | undefined | Promise<V | undefined>,
    options?: Omit<SetOptions, 'if'>,
  ): Promise<Entry<V> | undefined> {
    const call = this.#begin('update', key, options, SET_UNCONDITIONAL_RULES);
    checkFunction('update', key, fn, 'a function from the old value to the new one');
    checkUpdates(this.#primitives, key);
    return call.guard(updateEntry(this.#primitives, key, fn, options, call));
  }

  async batch(writes: Iterable<BatchWrite<V>>, options?: CallOptions): Promise<BatchResult> {
    const call = this.#begin('batch', undefined, options);
    const checked = toWrites(this.#primitives, 'batch', writes);
    return toBatchResult(checked, await this.#commit(checked, call));
  }

  list(range?: Range & CallOptions): AsyncIterable<Entry<V>> {
    this.#checkOpen('list');
    checkRange('list', range);
    return this.#iterate(
      'list',
      range,
      (call) => this.#primitives.scan(toKeyRange(range), call),
      (entry) => handOutEntry(this.#primitives, entry),
    );
  }

  keys(range?: Range & CallOptions): AsyncIterable<string> {
    this.#checkOpen('keys');
    checkRange('keys', range);
    return this.#iterate(
      'keys',
      range,
      (call) => this.#primitives.scanKeys(toKeyRange(range), call),
      (key) => key,
    );
  }

  watch(options: WatchOptions = {}): AsyncIterable<Commit<V>> {
    this.#checkOpen('watch');
    checkWatch(options);
    const feed = this.#feed('watch');
    const { after, prefix } = options;
    const known = after === undefined || after === 'start' ? undefined : fromCursor('watch', after);
    // The head is taken now, not at the first step: what is written in between belongs to the watch.
    const head =
      after === undefined
        ? Promise.resolve(feed.state(this.#begin('watch', undefined, boundsOf(options))))
        : undefined;
    head?.catch(() => {});
    const { guard } = this.#primitives;
    return this.#iterate(
      'watch',
      { timeoutMs: Number.POSITIVE_INFINITY, ...boundsOf(options) },
      async function* (call) {
        const from = head === undefined ? known : (await head).head;
        for await (const commit of watchFeed(feed, call, { after: from, prefix, guard }))
          yield [commit];
      },
      (commit) => commit,
    );
  }

  async cursor(options?: CallOptions): Promise<Cursor> {
    const call = this.#begin('cursor', undefined, options);
    const state = this.#feed('cursor').state(call);
    return toCursor((state instanceof Promise ? await call.guard(state) : state).head);
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

  /** Checks state, key and options, and starts the call's bounds. */
  #begin(
    operation: string,
    key: string | undefined,
    options: CallOptions | undefined,
    rules: OptionRules = CALL_RULES,
  ): Call {
    if (this.#closing !== undefined) this.#checkOpen(operation, key);
    if (key !== undefined || SINGLE_KEY.has(operation)) checkKey(operation, key, this.#maxKeyBytes);
    if (options === undefined)
      return new Call(this.#primitives.env, operation, key, undefined, this.#timeoutMs);
    checkOptions(operation, options, rules);
    const call = new Call(this.#primitives.env, operation, key, options, this.#timeoutMs);
    call.throwIfEnded();
    return call;
  }

  #checkOpen(operation: string, key?: string): void {
    if (this.#closing !== undefined)
      throw new StrataError('closed', `${operation}: the store is closed`, { operation, key });
  }

  #unsupported(operation: string, key: string | undefined, what: string): StrataError {
    return new StrataError(
      'unsupported',
      `${operation}: ${this.#primitives.shape.type} stores offer no ${what}`,
      { operation, key },
    );
  }

  #feed(operation: string): Feed<V> {
    const { feed } = this.#primitives;
    if (feed === undefined || !this.capabilities.feed)
      throw this.#unsupported(operation, undefined, 'feed');
    return feed;
  }

  async #readMany(
    operation: string,
    keys: Iterable<string>,
    options: CallOptions | undefined,
  ): Promise<Entry<V>[]> {
    const call = this.#begin(operation, undefined, options);
    const wanted = [
      ...new Set(checkKeys(this.#primitives as Primitives<unknown>, operation, keys)),
    ];
    if (wanted.length === 0) return [];
    const found = this.#primitives.readMany(wanted, call);
    return (found instanceof Promise ? await call.guard(found) : found).filter(
      (entry) => entry !== undefined,
    );
  }

  async #commit(writes: readonly Write<V>[], call: Call): Promise<CommitOutcome> {
    if (writes.length === 0) return { outcomes: [] };
    const done: Awaitable<CommitOutcome> = this.#primitives.commit(writes, call);
    return done instanceof Promise ? await call.guard(done) : done;
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
      bounds: boundsOf(options),
      defaultTimeoutMs: this.#timeoutMs,
      running: this.#iterating,
    };
    return managedIterable({ ...init, checkOpen: () => this.#checkOpen(operation), source, give });
  }
}

const SINGLE_KEY: ReadonlySet<string> = new Set([
  'get',
  'getEntry',
  'has',
  'getOrSet',
  'set',
  'delete',
  'update',
]);

function boundsOf(options: CallOptions | undefined): CallOptions {
  return {
    ...(options?.signal && { signal: options.signal }),
    ...(options?.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
  };
}
