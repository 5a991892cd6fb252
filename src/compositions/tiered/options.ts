import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import type { TieredEvent } from './events.ts';
import { checkWarmOptions, type WarmOptions } from './warming/options.ts';

/** Which writes go where. */
export type WritePolicy = 'through' | 'behind' | 'around' | 'front-only';
/** Which reads ask whom. */
export type ReadPolicy = 'front-first' | 'front-only';

/** When the back is left alone after failures. */
export interface BreakerOptions {
  /** So many calls of the back in a row fail before it is left alone; default 5. */
  readonly failures?: number;
  /** First pause, in ms; default 500. It doubles with every try in vain. */
  readonly pauseMs?: number;
  /** Longest pause, in ms; default 10,000: a back that returns is noticed within that time, and the `backTimeoutMs` of a try that hangs. */
  readonly maxPauseMs?: number;
}

/** A pending write that met a change of somebody else. */
export interface BackConflict<V> {
  readonly key: string;
  /** What this store wants to write; `undefined` for a delete. */
  readonly pending: Entry<V> | undefined;
  /** What stands in the back; `undefined` where it was deleted. */
  readonly back: Entry<V> | undefined;
}

/** How two stores become one. */
export interface TieredOptions<V> {
  /** The fast store: holds copies. It belongs to this tiered store alone. */
  readonly front: Store<V>;
  /** The store that counts. */
  readonly back: Store<V>;
  /**
   * Where writes go. `through` (default): to the back, then to the front. `behind`: to a journal,
   * and from there to the back in the background. `around`: to the back, and the front's copy is
   * removed. `front-only`: to the front, over a back that is never changed.
   */
  readonly write?: WritePolicy;
  /** Where reads go. `front-first` (default): to the front, and on a miss to the back, keeping a copy. `front-only`: to the front. */
  readonly read?: ReadPolicy;

  /** How long a copy of the front is fresh, in ms since the read of the back began, by the wall clock; default until it is replaced. It never outlives its source. */
  readonly ttlMs?: number;
  /** For so long after `ttlMs` a copy is still served, while one read of the back refreshes it, in ms; default 0. */
  readonly staleWhileRevalidateMs?: number;
  /** For so long after `ttlMs` a copy is still served when the back is away, marked `stale`, in ms; default 0. */
  readonly graceMs?: number;
  /** How long it is remembered that a key does not exist, in ms; default 0. Of the newest 100,000 such keys. */
  readonly negativeTtlMs?: number;
  /**
   * The front follows the back's feed: changes that others make in the back are in the front within
   * its lag, and nobody is shown an older state of a key after a newer one. Copies that the front has
   * are refreshed; one that is read alone becomes a whole copy of the back. A back that is tiered
   * itself must follow too. Default false.
   */
  readonly follow?: boolean;
  /** With `follow`: a copy is not served while the front may be older than this, in ms; default no limit. The back is asked twice within it. */
  readonly maxLagMs?: number;
  /** Whether a miss waits until its copy stands in the front; default `background`. An overlay always waits. */
  readonly populate?: 'background' | 'await';

  /**
   * Longest wait for the back, in ms; default 2,000. Then the call fails with `unavailable`. A call
   * with a longer `timeoutMs` of its own waits that long. A blocking call cannot be timed out.
   */
  readonly backTimeoutMs?: number;
  /** When the back is left alone after failures, so that calls fail at once; `false`: never. */
  readonly breaker?: BreakerOptions | false;
  /** Longest wait for the front, in ms; default 1,000. Then it counts as a miss, and is left alone for as long. */
  readonly frontTimeoutMs?: number;
  /** Most keys to remember whose copies could not be updated; default 100,000. Beyond it the whole front is emptied before it is asked again. */
  readonly maxFenced?: number;

  /**
   * Fills the front from the opening on, as `store.warm` does; `true` with the defaults. Nothing waits
   * for it: what is not in the front yet is read as without it. `onEvent` tells how it ended. Default
   * false.
   */
  readonly warmOnOpen?: boolean | WarmOptions;

  /** With `behind`: where acknowledged writes are kept until the back has them. `front`: in the front, which must be durable; `volatile`: nowhere, a crash loses them. Default `front` where that is durable. */
  readonly journal?: 'front' | 'volatile' | Store<V> | Store<Uint8Array>;
  /** With `behind`: bounds of what is pending; default 100,000 keys and 64 MiB. */
  readonly maxPending?: { readonly keys?: number; readonly bytes?: number };
  /** With `behind`: whether writes wait (default) while that much is pending, or fail with `overloaded`. */
  readonly whenFull?: 'block' | 'reject';
  /** With `behind`: what counts when somebody else changed a key in the back; default `overwrite`. A function gives the value to write, or `undefined` for a delete. */
  readonly onConflict?: 'overwrite' | 'keep-back' | ((conflict: BackConflict<V>) => V | undefined);
  /** With `behind`: pauses between tries of a window, in ms; default from 100 to 30,000. */
  readonly retry?: { readonly minMs?: number; readonly maxMs?: number };
  /** With `behind`: how long the owner of a journal may be silent before another may take it over, in ms; default 3,000. */
  readonly leaseMs?: number;

  /** Hears of outages, flushes, conflicts and losses. */
  readonly onEvent?: (event: TieredEvent) => void;
  /** Hears of failures of the front, which no call fails with. */
  readonly onFrontError?: (error: unknown) => void;
  /** Whether closing closes front, back and journal; default true. */
  readonly closeParts?: boolean;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default those of the back. */
  readonly env?: Env;
}

const isStoreOrWord: is.OptionRule = is.either(is.oneOf('front', 'volatile'), is.store);

const RULES = {
  front: is.store,
  back: is.store,
  write: is.oneOf('through', 'behind', 'around', 'front-only'),
  read: is.oneOf('front-first', 'front-only'),
  ttlMs: is.durationMs,
  staleWhileRevalidateMs: is.durationMs,
  graceMs: is.durationMs,
  negativeTtlMs: is.durationMs,
  follow: is.boolean,
  maxLagMs: is.durationMs,
  populate: is.oneOf('background', 'await'),
  backTimeoutMs: is.durationMs,
  breaker: { expected: 'false or an object', accepts: (v) => v === false || is.object.accepts(v) },
  frontTimeoutMs: is.durationMs,
  maxFenced: is.count,
  warmOnOpen: is.either(is.boolean, is.object),
  journal: isStoreOrWord,
  maxPending: is.object,
  whenFull: is.oneOf('block', 'reject'),
  onConflict: is.either(is.oneOf('overwrite', 'keep-back'), is.fn),
  retry: is.object,
  leaseMs: is.durationMs,
  onEvent: is.fn,
  onFrontError: is.fn,
  closeParts: is.boolean,
  timeoutMs: is.durationMs,
  env: is.object,
} satisfies Record<keyof TieredOptions<unknown>, is.OptionRule>;

/** Longest pause before a back that is away is tried again. */
export const MAX_PAUSE_MS = 10_000;

const BREAKER_RULES = { failures: is.positive, pauseMs: is.durationMs, maxPauseMs: is.durationMs };
const PENDING_RULES = { keys: is.positive, bytes: is.positive };
const RETRY_RULES = { minMs: is.durationMs, maxMs: is.durationMs };

const BEHIND_ONLY = [
  'journal',
  'maxPending',
  'whenFull',
  'onConflict',
  'retry',
  'leaseMs',
] as const;

/** Refuses options that are unknown, of the wrong kind, or contradict each other, with `invalid-argument`. */
export function checkTieredOptions<V>(options: TieredOptions<V>): void {
  checkOptions('tiered', options, RULES, ['front', 'back']);
  if (options.breaker !== false) checkOptions('tiered', options.breaker, BREAKER_RULES);
  checkOptions('tiered', options.maxPending, PENDING_RULES);
  checkOptions('tiered', options.retry, RETRY_RULES);
  checkOrder('retry.minMs', options.retry?.minMs, options.retry?.maxMs, 'retry.maxMs');
  if (typeof options.warmOnOpen === 'object') checkWarmOptions('tiered', options.warmOnOpen);
  const { breaker } = options;
  if (typeof breaker === 'object')
    checkOrder(
      'breaker.pauseMs',
      breaker.pauseMs,
      breaker.maxPauseMs ?? MAX_PAUSE_MS,
      'breaker.maxPauseMs',
    );
  checkFreshness(options);
  // A copy without its origin could not be told from another.
  if (options.front.capabilities.bare === true)
    throw wrong(
      'front',
      'a store of bare values',
      'one that keeps metadata and origins beside values',
    );
  const write = options.write ?? 'through';
  if (options.maxLagMs !== undefined && options.follow !== true)
    throw wrong('maxLagMs', options.maxLagMs, '`follow: true` beside it');
  if (options.follow === true && write === 'front-only')
    throw wrong('follow', true, 'another write policy: an overlay does not change with its back');
  if (options.follow === true && !options.back.capabilities.feed)
    throw wrong('follow', true, 'a back with a feed');
  if (write !== 'behind')
    for (const name of BEHIND_ONLY)
      if (options[name] !== undefined)
        throw wrong(name, options[name], "`write: 'behind'` beside it");
}

/** What is said of copies, where there are none or nobody brings new ones. */
function checkFreshness<V>(options: TieredOptions<V>): void {
  const { write, read, front, ttlMs } = options;
  for (const name of ['staleWhileRevalidateMs', 'graceMs'] as const)
    if (options[name] !== undefined && ttlMs === undefined)
      throw wrong(name, options[name], 'a `ttlMs` beside it, after which it begins');
  for (const name of ['ttlMs', 'negativeTtlMs'] as const)
    if (options[name] !== undefined && write === 'front-only')
      throw wrong(name, options[name], 'another write policy: what an overlay has read is its own');
  for (const name of ['staleWhileRevalidateMs', 'negativeTtlMs', 'populate'] as const)
    if (options[name] !== undefined && read === 'front-only')
      throw wrong(name, options[name], "`read: 'front-first'`: else the back is not asked");
  if (ttlMs !== undefined && !front.capabilities.ttl)
    throw wrong('ttlMs', ttlMs, 'a front with expiry');
}

function checkOrder(
  name: string,
  less: number | undefined,
  more: number | undefined,
  limit: string,
): void {
  if (less !== undefined && more !== undefined && less > more)
    throw wrong(name, less, `at most ${limit} (${more})`);
}

function wrong(name: string, value: unknown, expected: string): Error {
  return invalidArgument('tiered', `the option ${name}`, value, expected);
}
