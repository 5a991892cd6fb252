import { defineStore } from '../../store/define-store.ts';
import { invalidArgument, StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { withControls } from './controls.ts';
import { copyingFor } from './copying.ts';
import { lateBehindPolicy } from './late-behind.ts';
import { checkTieredOptions, type TieredOptions } from './options.ts';
import { overlayPolicy } from './overlay-store.ts';
import { throughPolicy } from './through-store.ts';
import { tieredParts } from './tiered-parts.ts';
import type { TieredStore, TieredStoreWithBlocking } from './tiered-store.ts';
import { warmedWhileOpen } from './warming/while-open.ts';

export type { DeadLetter, Pending, TieredEvent, TieredStatus } from './events.ts';
export type {
  BackConflict,
  BreakerOptions,
  ReadPolicy,
  TieredOptions,
  WritePolicy,
} from './options.ts';
export type { TieredControls, TieredStore, TieredStoreWithBlocking } from './tiered-store.ts';
export { copyKeys, warm, warmReachable } from './warming/index.ts';
export type {
  CopyingOptions,
  WarmOptions,
  WarmProgress,
  WarmStrategy,
} from './warming/options.ts';

const POLICIES = {
  through: throughPolicy,
  around: throughPolicy,
  behind: lateBehindPolicy,
  'front-only': overlayPolicy,
} as const;

/**
 * A fast front over the store that counts, as one store.
 *
 * - A read after a write sees that write, whatever happened to the front. A copy is never older than
 *   the last write through this store, and never lives longer than its source. Changes that others
 *   make in the back are seen when the copy is gone.
 * - Misses of one key at once make one read of the back.
 * - A front that fails or hangs is a miss and never an error. A back that hangs costs `backTimeoutMs`,
 *   then `unavailable`; what the front has is served meanwhile.
 * - Versions, revisions, times and metadata are the back's, and so is the feed.
 *
 * With `write: 'front-only'` the front is the truth: its own writes and deletes hide the back's
 * entries; versions, revisions, listings and the feed are the front's, and a front that fails is an
 * error. `list` and `keys` read the back, or the front where either policy is `front-only`.
 *
 * Errors: `invalid-argument` for options that make no sense, `unsupported` for a front that cannot
 * hold an overlay and for a policy that is not offered.
 *
 * ```ts
 * const store = tiered({ front: memory(), back: lmdb({ path: './data' }) });
 * ```
 */
export function tiered<V>(
  options: TieredOptions<V> & {
    readonly front: StoreWithBlocking<V>;
    readonly back: StoreWithBlocking<V>;
  },
): TieredStoreWithBlocking<V>;
export function tiered<V>(options: TieredOptions<V>): TieredStore<V>;
export function tiered<V>(options: TieredOptions<V>): TieredStore<V> {
  checkTieredOptions(options);
  const front = primitivesOf(options.front, 'tiered');
  const found = primitivesOf(options.back, 'tiered');
  if (front === found)
    throw invalidArgument('tiered', 'the front', options.front, 'another store than the back');
  const write = options.write ?? 'through';
  if (write === 'front-only') checkOverlay(front);
  const parts = tieredParts(options, front, copyingFor(front, found));
  const policy = POLICIES[write](parts);
  // What exists nowhere else is not given up.
  if (write === 'front-only') front.evictOnlyCached?.();
  return withControls(defineStore(warmedWhileOpen(policy, parts)), policy);
}

function checkOverlay<V>({ shape, capabilities, evictOnlyCached }: Primitives<V>): void {
  const { atomic, conditional, evicts } = capabilities;
  if (evicts === true && evictOnlyCached === undefined)
    throw new StrataError(
      'unsupported',
      `tiered: a ${shape.type} front that evicts cannot take front-only writes, since it cannot tell them from copies; expected the evicting store itself`,
      { operation: 'tiered', details: { evicts } },
    );
  if (atomic === 'batch' && conditional === 'all') return;
  throw new StrataError(
    'unsupported',
    `tiered: a ${shape.type} front cannot take front-only writes; expected one with atomic batches and conditional writes`,
    { operation: 'tiered', details: { atomic, conditional } },
  );
}
