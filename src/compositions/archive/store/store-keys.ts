import type { Capabilities } from '../../../store/capabilities.ts';
import { failure } from '../../../store/errors.ts';
import { primitivesOf } from '../../../store/internals.ts';
import * as is from '../../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../../store/options.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { ReadonlyStore } from '../../../store/readonly-store.ts';
import type { HotSide } from '../hot-side.ts';
import { DEFAULT_NAMESPACE, NAMESPACE_RULE } from '../namespace.ts';
import { StoreSide } from './store-side.ts';

/** Options of `storeKeys`. */
export interface StoreKeysOptions {
  /** The keys that may be archived begin with it; default all. */
  readonly prefix?: string;
  /** Keeps archives of one hot store and of one cold store apart. Default `strata-archive`. */
  readonly namespace?: string;
  /**
   * `ensure` notes at most so often that a key was used, in ms; default 60,000. Idle times are exact
   * to this: a key that is asked for more often than `evictAfterMs` stays as long as this is less.
   */
  readonly noteEveryMs?: number;
  /** Bound of each step, in ms; default that of the store. */
  readonly timeoutMs?: number;
}

/** The hot side of an archive: the keys of a store. Made by `storeKeys`. */
export interface StoreKeys {
  /** Names the archive. */
  readonly namespace: string;
  readonly prefix: string;
  /** @internal */
  readonly side: HotSide;
  /** @internal */
  readonly store: object;
}

const RULES: OptionRules = {
  prefix: is.string,
  namespace: NAMESPACE_RULE,
  noteEveryMs: is.durationMs,
  timeoutMs: is.durationMs,
};

/**
 * The keys of a store as the hot side of an archive: a store of bytes, or one with a codec, with
 * atomic batches and conditional writes, such as `memory`, `lmdb`, `sqlite` or `redis`.
 * It stays the caller's: the archive does not close it. Marks and records are under reserved keys,
 * in the same commits as what they tell of.
 *
 * An eviction is a delete to whoever watches the store, and the way back a set, with a new version;
 * metadata, expiry, `immutable`, `modifiedAt` and `origin` come back as they were.
 *
 * Errors: `unsupported` for a store without atomic batches or conditional deletes, or that gives up
 * entries of its own accord; later, for values that are no bytes.
 */
export function storeKeys(
  store: ReadonlyStore<never> | ReadonlyStore<unknown>,
  options: StoreKeysOptions = {},
): StoreKeys {
  checkOptions('storeKeys', options, RULES);
  const { prefix = '', namespace = DEFAULT_NAMESPACE, noteEveryMs = 60_000, timeoutMs } = options;
  const primitives = primitivesOf(store as ReadonlyStore<unknown>, 'storeKeys');
  checkCapabilities(primitives.capabilities);
  // What the store keeps, before a codec: values are archived as they are stored.
  const bytes = primitives.bytes ?? (primitives as Primitives<Uint8Array>);
  const times = { noteEveryMs, ...(timeoutMs !== undefined && { timeoutMs }) };
  return { namespace, prefix, side: new StoreSide(bytes, { namespace, prefix }, times), store };
}

function checkCapabilities({ atomic, conditional, evicts }: Capabilities): void {
  const refuse = (what: string): never => {
    throw failure('unsupported', 'storeKeys', `the hot store ${what}`);
  };
  if (atomic !== 'batch')
    refuse('has no atomic batches: a crash between two writes could lose what was evicted');
  if (conditional !== 'all') refuse('has no conditional writes and deletes');
  if (evicts) refuse('gives up entries of its own accord: one that is not frozen could be lost');
}
