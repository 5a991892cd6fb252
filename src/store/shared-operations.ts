import type { Awaitable } from './awaitable.ts';
import { Call, DEFAULT_TIMEOUT_MS } from './call.ts';
import {
  checkKeys,
  checkPairs,
  DELETE_RULES,
  SET_RULES,
  SET_UNCONDITIONAL_RULES,
  toDeleteWrite,
  toSetWrite,
  toWrites,
} from './checks.ts';
import type { Entry, EntryHead } from './entry.ts';
import { checkKey } from './keys.ts';
import type {
  BatchResult,
  BatchWrite,
  CallOptions,
  DeleteOptions,
  ReadOptions,
  SetOptions,
} from './operations.ts';
import { CALL_RULES, checkOptions, type OptionRules, READ_RULES } from './options.ts';
import type { CommitOutcome, Primitives, Write } from './primitives.ts';
import { countExisted, handOutEntry, handOutValue, toBatchResult } from './results.ts';

/** Where operations read and write: a store's primitives, or its blocking half in the same form. */
export type Access<V> = Pick<Primitives<V>, 'readOne' | 'readMany' | 'commit'>;

/** Fails when the store is closed. */
export type CheckOpen = (operation: string, key?: string) => void;

/**
 * The operations that a store and its blocking view share. A result that the access has at hand is
 * given at once, so that over a blocking half nothing is ever a promise.
 */
export class SharedOperations<V> {
  readonly #primitives: Primitives<V>;
  readonly #access: Access<V>;
  readonly #checkOpen: CheckOpen;
  readonly #timeoutMs: number;
  readonly #maxKeyBytes: number;

  constructor(primitives: Primitives<V>, access: Access<V>, checkOpen: CheckOpen) {
    this.#primitives = primitives;
    this.#access = access;
    this.#checkOpen = checkOpen;
    this.#timeoutMs = primitives.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxKeyBytes = primitives.capabilities.maxKeyBytes;
  }

  /** Checks state and options, and starts the call's bounds. */
  begin(operation: string, options: object | undefined, rules?: OptionRules): Call {
    this.#checkOpen(operation);
    return this.#start(operation, undefined, options, rules);
  }

  /** As `begin`, for an operation on one key. */
  beginKey(operation: string, key: string, options: object | undefined, rules?: OptionRules): Call {
    this.#checkOpen(operation, key);
    checkKey(operation, key, this.#maxKeyBytes);
    return this.#start(operation, key, options, rules);
  }

  getEntry(key: string, options?: ReadOptions): Awaitable<Entry<V> | undefined> {
    const call = this.beginKey('getEntry', key, options, READ_RULES);
    return call.chain(
      this.#access.readOne(key, call),
      (entry) => entry && handOutEntry(this.#primitives, entry),
    );
  }

  getMany(keys: Iterable<string>, options?: ReadOptions): Awaitable<Map<string, V>> {
    return this.#readMany(
      'getMany',
      keys,
      options,
      (entries) =>
        new Map(entries.map(({ key, value }) => [key, handOutValue(this.#primitives, value)])),
    );
  }

  getEntries(keys: Iterable<string>, options?: ReadOptions): Awaitable<Map<string, Entry<V>>> {
    return this.#readMany(
      'getEntries',
      keys,
      options,
      (entries) =>
        new Map(entries.map((entry) => [entry.key, handOutEntry(this.#primitives, entry)])),
    );
  }

  has(key: string, options?: ReadOptions): Awaitable<boolean> {
    const call = this.beginKey('has', key, options, READ_RULES);
    return call.chain(this.#access.readOne(key, call), (entry) => entry !== undefined);
  }

  hasMany(keys: Iterable<string>, options?: ReadOptions): Awaitable<Set<string>> {
    return this.#readMany(
      'hasMany',
      keys,
      options,
      (entries) => new Set(entries.map(({ key }) => key)),
    );
  }

  set(key: string, value: V, options?: SetOptions): Awaitable<EntryHead> {
    const call = this.beginKey('set', key, options, SET_RULES);
    const write = toSetWrite(this.#primitives, 'set', key, value, options);
    return this.#commit([write], call, ({ outcomes }) => ({
      ...(outcomes[0]?.entry as EntryHead),
    }));
  }

  delete(key: string, options?: DeleteOptions): Awaitable<boolean> {
    const call = this.beginKey('delete', key, options, DELETE_RULES);
    const write = toDeleteWrite(this.#primitives, 'delete', key, options?.if);
    return this.#commit([write], call, (done) => countExisted(done) === 1);
  }

  setMany(
    pairs: Iterable<readonly [string, V]>,
    options?: Omit<SetOptions, 'if'>,
  ): Awaitable<BatchResult> {
    const call = this.begin('setMany', options, SET_UNCONDITIONAL_RULES);
    const writes = checkPairs('setMany', pairs).map(([key, value]) =>
      toSetWrite(this.#primitives, 'setMany', key, value, options),
    );
    return this.#commit(writes, call, (done) => toBatchResult(writes, done));
  }

  deleteMany(keys: Iterable<string>, options?: CallOptions): Awaitable<number> {
    const call = this.begin('deleteMany', options);
    return this.remove(checkKeys('deleteMany', keys, this.#maxKeyBytes), call);
  }

  batch(writes: Iterable<BatchWrite<V>>, options?: CallOptions): Awaitable<BatchResult> {
    const call = this.begin('batch', options);
    const checked = toWrites(this.#primitives, 'batch', writes);
    return this.#commit(checked, call, (done) => toBatchResult(checked, done));
  }

  /** Deletes keys; gives the number of those that existed. */
  remove(keys: readonly string[], call: Call): Awaitable<number> {
    const writes = keys.map((key): Write<V> => ({ type: 'delete', key }));
    return this.#commit(writes, call, countExisted);
  }

  #start(
    operation: string,
    key: string | undefined,
    options: object | undefined,
    rules: OptionRules = CALL_RULES,
  ): Call {
    checkOptions(operation, options, rules);
    const bounds: ReadOptions | undefined = options;
    const call = new Call(this.#primitives.env, operation, key, bounds, this.#timeoutMs);
    call.throwIfEnded();
    return call;
  }

  #readMany<R>(
    operation: string,
    keys: Iterable<string>,
    options: ReadOptions | undefined,
    give: (entries: Entry<V>[]) => R,
  ): Awaitable<R> {
    const call = this.begin(operation, options, READ_RULES);
    const wanted = [...new Set(checkKeys(operation, keys, this.#maxKeyBytes))];
    if (wanted.length === 0) return give([]);
    return call.chain(this.#access.readMany(wanted, call), (found) =>
      give(found.filter((entry) => entry !== undefined)),
    );
  }

  #commit<R>(
    writes: readonly Write<V>[],
    call: Call,
    give: (done: CommitOutcome) => R,
  ): Awaitable<R> {
    return writes.length === 0
      ? give({ outcomes: [] })
      : call.chain(this.#access.commit(writes, call), give);
  }
}
