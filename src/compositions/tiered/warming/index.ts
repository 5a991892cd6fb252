import { failure, invalidArgument } from '../../../store/errors.ts';
import { primitivesOf } from '../../../store/internals.ts';
import { checkOptions } from '../../../store/options.ts';
import type { ReadonlyStore } from '../../../store/readonly-store.ts';
import type { Store } from '../../../store/store.ts';
import type { Keys, Roots, Walker } from '../../../walk/index.ts';
import { copyingFor } from '../copying.ts';
import type { TieredStore } from '../tiered-store.ts';
import { keyBatches, warmBatches } from './batches.ts';
import { targetOfFront } from './live-fronts.ts';
import {
  COPYING_RULES,
  type CopyingOptions,
  checkWarmOptions,
  type WarmOptions,
  type WarmProgress,
} from './options.ts';
import { ReachableCopies } from './reachable.ts';
import { WarmRun } from './run.ts';
import type { WarmTarget } from './target.ts';
import { plainTarget } from './warm-target.ts';

/**
 * Fills a front with copies of what its back holds, as the reads of a tiered store over both would
 * leave them: with the back's version, revision, times and metadata. Both are listed side by side, in
 * constant memory, and copied in batches.
 *
 * Nothing newer is ever overwritten or brought back. Parts of a tiered store that is open in this
 * process are warmed by its own rules, as `store.warm()` does; any other front is changed only where
 * it still is as it was read, so that whoever writes to it meanwhile wins.
 *
 * It goes on until it is done; `signal` and `timeoutMs` end it earlier. It fails with the first
 * failure of either store; `error.details.progress` then says how far it came, and its `after` is
 * where to go on.
 *
 * Errors: `invalid-argument`, `unsupported` for a front without conditional writes, `aborted`,
 * `timeout`, and those of the stores.
 *
 * ```ts
 * await warm(memoryStore, redisStore, { strategy: 'mirror', prefix: 'user:' });
 * ```
 */
export function warm<V>(
  front: Store<V>,
  back: ReadonlyStore<V>,
  options?: WarmOptions,
): Promise<WarmProgress>;
/** As `store.warm(options)`. */
export function warm<V>(store: TieredStore<V>, options?: WarmOptions): Promise<WarmProgress>;
export async function warm<V>(
  front: Store<V> | TieredStore<V>,
  backOrOptions?: ReadonlyStore<V> | WarmOptions,
  options: WarmOptions = {},
): Promise<WarmProgress> {
  if (isStore(backOrOptions)) return warmTarget(targetOf('warm', front, backOrOptions), options);
  const { warm: own } = front as Partial<TieredStore<V>>;
  if (typeof own !== 'function')
    throw invalidArgument(
      'warm',
      'the back',
      backOrOptions,
      'a store, or a tiered store before it',
    );
  return own(backOrOptions);
}

/**
 * Copies keys from one store to another, as `warm` does: what the other lacks or has differently is
 * written, keys that do not exist are counted as `missing`. Keys are taken as they come.
 *
 * Errors: as `warm`.
 */
export async function copyKeys<V>(
  from: ReadonlyStore<V>,
  to: Store<V>,
  keys: Keys,
  options: CopyingOptions = {},
): Promise<WarmProgress> {
  const target = targetOf('copyKeys', to, from);
  checkOptions('copyKeys', options, COPYING_RULES);
  checkKeysArgument('copyKeys', keys);
  const run = new WarmRun(target, 'copyKeys', options);
  return run.until(() => run.pass(keyBatches(keys, target, run)));
}

/**
 * Copies what is reachable from the roots, as `warm` does: every entry after all that it points to,
 * the roots last, so that what the front holds is never without what it points to. Running it again
 * copies what has changed, and costs a walk of the back. Keys that something points to and the back
 * does not have are counted as `missing`. An entry that changes faster than it can be copied is left
 * out and counted as `skipped`.
 *
 * Memory: the keys met, with their versions, and the entries of the batches under way.
 *
 * Errors: as `warm`, and those of `walk`.
 */
export async function warmReachable<V>(
  front: Store<V>,
  back: ReadonlyStore<V>,
  roots: Roots,
  walker: Walker<V>,
  options: CopyingOptions = {},
): Promise<WarmProgress> {
  const target = targetOf('warmReachable', front, back);
  checkOptions('warmReachable', options, COPYING_RULES);
  const run = new WarmRun(target, 'warmReachable', options);
  return run.until(() => new ReachableCopies(target, run).copy(roots, walker));
}

/** Warms the front of a target. */
export async function warmTarget<V>(
  target: WarmTarget<V>,
  options: WarmOptions = {},
): Promise<WarmProgress> {
  checkWarmOptions('warm', options);
  const run = new WarmRun(target, 'warm', options ?? {});
  return run.until(() => run.pass(warmBatches(target, options, run)));
}

function targetOf<V>(
  operation: string,
  frontStore: Store<V>,
  backStore: ReadonlyStore<V>,
): WarmTarget<V> {
  const front = primitivesOf(frontStore, operation);
  const found = primitivesOf(backStore, operation);
  if (front === found)
    throw invalidArgument(operation, 'the front', frontStore, 'another store than the back');
  const live = targetOfFront(front);
  // Beside its open tiered store, a front is changed by that store's rules only.
  if (live !== undefined) {
    if (primitivesOf(live.backStore) === found) return live;
    throw failure(
      'invalid-argument',
      operation,
      'the front belongs to an open tiered store over another back; expected that back',
    );
  }
  const { conditional } = front.capabilities;
  if (conditional !== 'all')
    throw failure(
      'unsupported',
      operation,
      `a ${front.shape.type} store without conditional writes cannot be filled beside other writers`,
      { details: { conditional } },
    );
  return plainTarget({ front, back: copyingFor(front, found), backStore });
}

function checkKeysArgument(operation: string, keys: unknown): void {
  const iterable =
    typeof keys === 'object' &&
    keys !== null &&
    (Symbol.iterator in keys || Symbol.asyncIterator in keys);
  if (!iterable) throw invalidArgument(operation, 'the keys argument', keys, 'an iterable of keys');
}

function isStore<V>(given: unknown): given is ReadonlyStore<V> {
  return typeof given === 'object' && given !== null && 'capabilities' in given;
}
