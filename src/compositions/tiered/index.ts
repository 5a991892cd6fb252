import { DEFAULT_TIMEOUT_MS } from '../../store/call.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument, StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { copying } from './copying.ts';
import { overlayPrimitives } from './overlay-store.ts';
import { throughPrimitives } from './through-store.ts';
import type { TieredParts } from './tiered-parts.ts';

/** How two stores become one. */
export interface TieredOptions<V> {
  /** The fast store: holds copies. It belongs to this tiered store alone. */
  readonly front: Store<V>;
  /** The store that counts. */
  readonly back: Store<V>;
  /**
   * Where writes go. `through` (default): to the back, then to the front. `around`: to the back, and
   * the front's copy is removed. `front-only`: to the front, over a back that is never changed.
   */
  readonly write?: 'through' | 'around' | 'front-only';
  /** Where reads go. `front-first` (default): to the front, and on a miss to the back, keeping a copy. `front-only`: to the front. */
  readonly read?: 'front-first' | 'front-only';
  /** Longest wait for the back, in ms; default 2,000. Then the call fails with `unavailable`. A call with a longer `timeoutMs` of its own waits that long. */
  readonly backTimeoutMs?: number;
  /** Longest wait for the front, in ms; default 1,000. Then it counts as a miss, and is left alone for as long. */
  readonly frontTimeoutMs?: number;
  /** Most keys to remember whose copies could not be updated; default 100,000. Beyond it the whole front is emptied before it is asked again. */
  readonly maxFenced?: number;
  /** Hears of failures of the front, which no call fails with. */
  readonly onFrontError?: (error: unknown) => void;
  /** Whether closing closes both stores; default true. */
  readonly closeParts?: boolean;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default those of the back. */
  readonly env?: Env;
}

const RULES = {
  front: is.store,
  back: is.store,
  write: is.oneOf('through', 'around', 'front-only', 'behind'),
  read: is.oneOf('front-first', 'front-only'),
  backTimeoutMs: is.durationMs,
  frontTimeoutMs: is.durationMs,
  maxFenced: is.count,
  onFrontError: is.fn,
  closeParts: is.boolean,
  timeoutMs: is.durationMs,
  env: is.object,
};

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
): StoreWithBlocking<V>;
export function tiered<V>(options: TieredOptions<V>): Store<V>;
export function tiered<V>(options: TieredOptions<V>): Store<V> {
  checkOptions('tiered', options, RULES, ['front', 'back']);
  const front = primitivesOf(options.front, 'tiered');
  const found = primitivesOf(options.back, 'tiered');
  if (front === found)
    throw invalidArgument('tiered', 'the front', options.front, 'another store than the back');
  const write = options.write ?? 'through';
  if ((write as string) === 'behind')
    throw new StrataError(
      'unsupported',
      "tiered: the write policy 'behind' is not offered; there are 'through', 'around' and 'front-only'",
      { operation: 'tiered' },
    );
  if (write === 'front-only') checkOverlay(front);
  // Where only the back shares references, nothing else would keep its values apart.
  const copy = front.guard === undefined ? found.guard?.bind(found) : undefined;
  const back = copy === undefined ? found : copying(found, copy);
  const parts: TieredParts<V> = {
    front,
    back,
    env: options.env ?? back.env,
    write,
    read: options.read ?? 'front-first',
    backBounds: {
      timeoutMs: options.backTimeoutMs ?? 2_000,
      usualMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    },
    frontTimeoutMs: options.frontTimeoutMs ?? 1_000,
    maxFenced: options.maxFenced ?? 100_000,
    timeoutMs: options.timeoutMs,
    onFrontError: options.onFrontError ?? (() => {}),
    close: () => (options.closeParts === false ? [] : [options.front, options.back]),
  };
  return defineStore(write === 'front-only' ? overlayPrimitives(parts) : throughPrimitives(parts));
}

function checkOverlay<V>({ shape, capabilities }: Primitives<V>): void {
  const { atomic, conditional } = capabilities;
  if (atomic === 'batch' && conditional === 'all') return;
  throw new StrataError(
    'unsupported',
    `tiered: a ${shape.type} front cannot take front-only writes; expected one with atomic batches and conditional writes`,
    { operation: 'tiered', details: { atomic, conditional } },
  );
}
