import { delegate, delegateBlocking } from '../kernel/delegate.ts';
import { defineStore } from '../store/define-store.ts';
import { StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import type { Primitives } from '../store/primitives.ts';
import type { ReadonlyStore, ReadonlyStoreWithBlocking } from '../store/readonly-store.ts';
import type { Store } from '../store/store.ts';

/** Options of `readonly`. */
export interface ReadonlyOptions {
  /** Whether closing closes the store inside; default true. */
  readonly closeInner?: boolean;
}

const RULES: OptionRules = { closeInner: is.boolean };

/**
 * A store that can only be read: every write fails with `denied`, by whichever door it comes.
 * Reads, feed and blocking view are those of the store inside.
 *
 * ```ts
 * const source = readonly(store);
 * ```
 */
export function readonly<V>(
  store: ReadonlyStoreWithBlocking<V>,
  options?: ReadonlyOptions,
): ReadonlyStoreWithBlocking<V>;
export function readonly<V>(store: ReadonlyStore<V>, options?: ReadonlyOptions): ReadonlyStore<V>;
export function readonly<V>(
  store: ReadonlyStore<V>,
  options: ReadonlyOptions = {},
): ReadonlyStore<V> {
  checkOptions('readonly', options, RULES);
  const inner = primitivesOf(store as Store<V>, 'readonly');
  return defineStore({
    ...withoutWrites(inner),
    close: async () => {
      if (options.closeInner !== false) await store.close();
    },
  });
}

function withoutWrites<V>(inner: Primitives<V>): Primitives<V> {
  const { blocking, bytes, codec, shape } = inner;
  return {
    ...delegate(inner),
    shape: { type: 'readonly', parts: { inner: shape } },
    ...(codec !== undefined && { codec }),
    ...(bytes !== undefined && { bytes: withoutWrites(bytes) }),
    commit: async (_, call) => {
      throw denied(call.operation, call.key);
    },
    ...(blocking !== undefined && {
      blocking: {
        ...delegateBlocking(blocking),
        commit: ([write]) => {
          throw denied('commit', write?.key);
        },
      },
    }),
  };
}

function denied(operation: string, key: string | undefined): StrataError {
  return new StrataError('denied', `${operation}: the store is read-only`, { operation, key });
}
