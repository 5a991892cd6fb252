import type { BlockingStore } from './blocking-store.ts';
import type { Call } from './call.ts';
import {
  CLEAR_RULES,
  checkFunction,
  RANGE_RULES,
  refusePromise,
  SET_UNCONDITIONAL_RULES,
  toSetWrite,
  unsupported,
} from './checks.ts';
import { copyRecordsRange, tellsOf } from './copy-records.ts';
import type { Cursor, Entry, EntryHead } from './entry.ts';
import { isStrataError } from './errors.ts';
import { toCursor } from './feed/cursor.ts';
import { checkKey, toKeyRange } from './keys.ts';
import type { Range, SetOptions } from './operations.ts';
import type { BlockingPrimitives, CommitOutcome, Primitives, Write } from './primitives.ts';
import { handOutEntry, handOutValue } from './results.ts';
import { type CheckOpen, SharedOperations } from './shared-operations.ts';
import { checkUpdates, lostRace, updateWrite } from './update.ts';

const CLEAR_BATCH_KEYS = 1_000;

type SyncSetOptions = Omit<SetOptions, 'if' | 'signal' | 'timeoutMs'>;

/** The synchronous view of a store, over its blocking primitives. */
export function blockingStore<V>(
  primitives: Primitives<V>,
  blocking: BlockingPrimitives<V>,
  checkOpen: CheckOpen,
): BlockingStore<V> {
  // Over blocking primitives the results of the shared operations are at hand, never promises.
  return new BlockingOperations(primitives, blocking, checkOpen) as unknown as BlockingStore<V>;
}

class BlockingOperations<V> extends SharedOperations<V> {
  readonly #primitives: Primitives<V>;
  readonly #blocking: BlockingPrimitives<V>;
  readonly #checkOpen: CheckOpen;
  readonly #maxKeyBytes: number;

  constructor(primitives: Primitives<V>, blocking: BlockingPrimitives<V>, checkOpen: CheckOpen) {
    super(
      primitives,
      {
        readOne: (key) => blocking.readOne(key),
        readMany: (keys) => keys.map((key) => blocking.readOne(key)),
        commit: (writes, { operation }) => blocking.commit(writes, operation),
      },
      checkOpen,
    );
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

  getOrSet(key: string, loader: () => V, options?: SyncSetOptions): V {
    this.beginKey('getOrSet', key, options, SET_UNCONDITIONAL_RULES);
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

  clear(options?: { readonly prefix?: string }): number {
    const call = this.begin('clear', options, CLEAR_RULES);
    const range = { ...toKeyRange(options), limit: CLEAR_BATCH_KEYS };
    this.#forgetCopies(options?.prefix ?? '', call);
    let cleared = 0;
    for (;;) {
      const keys = [...this.#blocking.scanKeys(range)];
      cleared += this.remove(keys, call) as number;
      if (keys.length < CLEAR_BATCH_KEYS) break;
    }
    // Another process may have begun a new record meanwhile.
    this.#forgetCopies(options?.prefix ?? '', call);
    return cleared;
  }

  #forgetCopies(prefix: string, call: Call): void {
    const records = [...this.#blocking.scanKeys(copyRecordsRange())];
    const doomed = records.filter((key) => tellsOf(key, prefix));
    if (doomed.length > 0) this.remove(doomed, call);
  }

  update(
    key: string,
    fn: (value: V | undefined) => V | undefined,
    options?: SyncSetOptions,
  ): Entry<V> | undefined {
    this.beginKey('update', key, options, SET_UNCONDITIONAL_RULES);
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

  *list(range?: Range): Iterable<Entry<V>> {
    this.begin('list', range, RANGE_RULES);
    for (const entry of this.#blocking.scan(toKeyRange(range)))
      yield handOutEntry(this.#primitives, entry);
  }

  *keys(range?: Range): Iterable<string> {
    this.begin('keys', range, RANGE_RULES);
    yield* this.#blocking.scanKeys(toKeyRange(range));
  }

  cursor(): Cursor {
    this.#checkOpen('cursor');
    const state = this.#blocking.state?.();
    if (state === undefined) throw unsupported(this.#primitives, 'cursor', undefined, 'feed');
    return toCursor(state.head);
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
