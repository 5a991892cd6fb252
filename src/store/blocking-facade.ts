import type { BlockingStore } from './blocking-store.ts';
import {
  checkClear,
  checkFunction,
  checkKeys,
  checkPairs,
  checkRange,
  DELETE_RULES,
  refusePromise,
  SET_RULES,
  SET_UNCONDITIONAL_RULES,
  toDeleteWrite,
  toSetWrite,
  toWrites,
} from './checks.ts';
import type { Cursor, Entry, EntryHead } from './entry.ts';
import { isStrataError, StrataError } from './errors.ts';
import { toCursor } from './feed/cursor.ts';
import { checkKey, toKeyRange } from './keys.ts';
import type { BatchResult, BatchWrite, DeleteOptions, Range, SetOptions } from './operations.ts';
import { checkOptions } from './options.ts';
import type { BlockingPrimitives, CommitOutcome, Primitives, Write } from './primitives.ts';
import { handOutEntry, handOutValue, toBatchResult } from './results.ts';
import { checkUpdates, lostRace, updateWrite } from './update.ts';

const CLEAR_BATCH_KEYS = 1_000;

type SyncSetOptions = Omit<SetOptions, 'signal' | 'timeoutMs'>;

/** The synchronous view of a store, over its blocking primitives. */
export class BlockingFacade<V> implements BlockingStore<V> {
  readonly #primitives: Primitives<V>;
  readonly #blocking: BlockingPrimitives<V>;
  readonly #checkOpen: (operation: string, key?: string) => void;
  readonly #maxKeyBytes: number;

  constructor(
    primitives: Primitives<V>,
    blocking: BlockingPrimitives<V>,
    checkOpen: (operation: string, key?: string) => void,
  ) {
    this.#primitives = primitives;
    this.#blocking = blocking;
    this.#checkOpen = checkOpen;
    this.#maxKeyBytes = primitives.capabilities.maxKeyBytes;
  }

  get(key: string): V | undefined {
    this.#checkOpen('get', key);
    const primitives = this.#primitives;
    if (primitives.peek !== undefined) {
      const found = primitives.peek(key);
      // What was found has a valid key, unless it is one of the reserved.
      if (found !== undefined && key.charCodeAt(0) !== 0) return handOutValue(primitives, found);
    }
    checkKey('get', key, this.#maxKeyBytes);
    const blocking = this.#blocking;
    const value =
      blocking.readValue === undefined ? blocking.readOne(key)?.value : blocking.readValue(key);
    return value === undefined ? undefined : handOutValue(primitives, value);
  }

  getEntry(key: string): Entry<V> | undefined {
    this.#begin('getEntry', key);
    const entry = this.#blocking.readOne(key);
    return entry && handOutEntry(this.#primitives, entry);
  }

  getMany(keys: Iterable<string>): Map<string, V> {
    return new Map(
      this.#readMany('getMany', keys).map((entry) => [
        entry.key,
        handOutValue(this.#primitives, entry.value),
      ]),
    );
  }

  getEntries(keys: Iterable<string>): Map<string, Entry<V>> {
    return new Map(
      this.#readMany('getEntries', keys).map((entry) => [
        entry.key,
        handOutEntry(this.#primitives, entry),
      ]),
    );
  }

  has(key: string): boolean {
    this.#begin('has', key);
    return this.#blocking.readOne(key) !== undefined;
  }

  hasMany(keys: Iterable<string>): Set<string> {
    return new Set(this.#readMany('hasMany', keys).map((entry) => entry.key));
  }

  getOrSet(key: string, loader: () => V, options?: Omit<SyncSetOptions, 'if'>): V {
    this.#begin('getOrSet', key);
    checkOptions('getOrSet', options, SET_UNCONDITIONAL_RULES);
    checkFunction('getOrSet', key, loader, 'a function that gives the value');
    const found = this.#blocking.readOne(key);
    if (found !== undefined) return handOutValue(this.#primitives, found.value);
    const value = loader();
    refusePromise('getOrSet', key, value);
    const write = toSetWrite(this.#primitives, 'getOrSet', key, value, options);
    const conditional = this.#primitives.capabilities.conditional !== 'none';
    try {
      this.#blocking.commit([conditional ? { ...write, if: 'absent' } : write], 'getOrSet');
    } catch (error) {
      // Another writer came first: its value is the one that everybody sees.
      if (!isStrataError(error, 'conflict')) throw error;
      return this.get(key) ?? value;
    }
    return value;
  }

  set(key: string, value: V, options?: SyncSetOptions): EntryHead {
    this.#begin('set', key);
    checkOptions('set', options, SET_RULES);
    const write = toSetWrite(this.#primitives, 'set', key, value, options);
    const { outcomes } = this.#blocking.commit([write], 'set');
    return { ...(outcomes[0]?.entry as EntryHead) };
  }

  delete(key: string, options?: Pick<DeleteOptions, 'if'>): boolean {
    this.#begin('delete', key);
    checkOptions('delete', options, DELETE_RULES);
    const write = toDeleteWrite(this.#primitives, 'delete', key, options?.if);
    const { outcomes } = this.#blocking.commit([write], 'delete');
    return outcomes[0]?.existed === true;
  }

  setMany(
    pairs: Iterable<readonly [string, V]>,
    options?: Omit<SyncSetOptions, 'if'>,
  ): BatchResult {
    this.#checkOpen('setMany');
    checkOptions('setMany', options, SET_UNCONDITIONAL_RULES);
    return this.#commit(
      'setMany',
      checkPairs('setMany', pairs).map(([key, value]) =>
        toSetWrite(this.#primitives, 'setMany', key, value, options),
      ),
    );
  }

  deleteMany(keys: Iterable<string>): number {
    this.#checkOpen('deleteMany');
    const writes = checkKeys(this.#primitives as Primitives<unknown>, 'deleteMany', keys).map(
      (key): Write<V> => ({ type: 'delete', key }),
    );
    return this.#remove('deleteMany', writes);
  }

  clear(options?: { readonly prefix?: string }): number {
    this.#checkOpen('clear');
    const range = { ...checkClear(options), limit: CLEAR_BATCH_KEYS };
    let cleared = 0;
    for (;;) {
      const doomed = Array.from(
        this.#blocking.scanKeys(range),
        (key): Write<V> => ({ type: 'delete', key }),
      );
      cleared += this.#remove('clear', doomed);
      if (doomed.length < CLEAR_BATCH_KEYS) return cleared;
    }
  }

  update(
    key: string,
    fn: (value: V | undefined) => V | undefined,
    options?: Omit<SyncSetOptions, 'if'>,
  ): Entry<V> | undefined {
    this.#begin('update', key);
    checkOptions('update', options, SET_UNCONDITIONAL_RULES);
    checkFunction('update', key, fn, 'a function from the old value to the new one');
    checkUpdates(this.#primitives, key);
    for (;;) {
      const before = this.#blocking.readOne(key);
      const value = fn(
        before === undefined ? undefined : handOutValue(this.#primitives, before.value),
      );
      refusePromise('update', key, value);
      if (value === undefined && before === undefined) return undefined;
      const write = updateWrite(this.#primitives, key, before, value, options);
      const done = this.#try(write, before);
      if (done === undefined) continue;
      return write.type === 'delete'
        ? undefined
        : handOutEntry(this.#primitives, {
            ...(done.outcomes[0]?.entry as EntryHead),
            value: write.value,
          });
    }
  }

  batch(writes: Iterable<BatchWrite<V>>): BatchResult {
    this.#checkOpen('batch');
    return this.#commit('batch', toWrites(this.#primitives, 'batch', writes));
  }

  *list(range?: Range): Iterable<Entry<V>> {
    this.#checkOpen('list');
    checkRange('list', range);
    for (const entry of this.#blocking.scan(toKeyRange(range)))
      yield handOutEntry(this.#primitives, entry);
  }

  *keys(range?: Range): Iterable<string> {
    this.#checkOpen('keys');
    checkRange('keys', range);
    yield* this.#blocking.scanKeys(toKeyRange(range));
  }

  cursor(): Cursor {
    this.#checkOpen('cursor');
    const state = this.#blocking.state?.();
    if (state === undefined)
      throw new StrataError(
        'unsupported',
        `cursor: ${this.#primitives.shape.type} stores offer no feed`,
        { operation: 'cursor' },
      );
    return toCursor(state.head);
  }

  #begin(operation: string, key: string): void {
    this.#checkOpen(operation, key);
    checkKey(operation, key, this.#maxKeyBytes);
  }

  #readMany(operation: string, keys: Iterable<string>): Entry<V>[] {
    this.#checkOpen(operation);
    const wanted = new Set(checkKeys(this.#primitives as Primitives<unknown>, operation, keys));
    return Array.from(wanted, (key) => this.#blocking.readOne(key)).filter(
      (entry) => entry !== undefined,
    );
  }

  #commit(operation: string, writes: readonly Write<V>[]): BatchResult {
    return toBatchResult(
      writes,
      writes.length === 0 ? { outcomes: [] } : this.#blocking.commit(writes, operation),
    );
  }

  /** Applies deletes; gives the number of keys that existed. */
  #remove(operation: string, writes: readonly Write<V>[]): number {
    if (writes.length === 0) return 0;
    const { outcomes } = this.#blocking.commit(writes, operation);
    return outcomes.filter(({ existed }) => existed).length;
  }

  /** One try of an update; `undefined` when another writer came first. */
  #try(write: Write<V>, before: Entry<V> | undefined): CommitOutcome | undefined {
    try {
      return this.#blocking.commit([write], 'update');
    } catch (error) {
      if (!lostRace(error, before)) throw error;
      return undefined;
    }
  }
}
