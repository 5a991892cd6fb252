import { invalidArgument } from '../../../store/errors.ts';
import type { CallOptions } from '../../../store/operations.ts';
import * as is from '../../../store/option-rules.ts';
import { CALL_RULES, checkOptions, type OptionRules } from '../../../store/options.ts';
import type { Keys } from '../../../walk/index.ts';

/** What a warming has done so far. Entries are counted once they stand in the front, or are gone from it. */
export interface WarmProgress {
  /** Entries written to the front. */
  readonly copied: number;
  /** Keys left as they are: the front has what it should have, or somebody wrote it meanwhile. */
  readonly skipped: number;
  /** Entries removed from the front, by `mirror`. */
  readonly removed: number;
  /** Keys that were asked for, or listed, and that the back does not have. */
  readonly missing: number;
  /** Everything up to this key is dealt with: `warm` with it as `after` goes on from here. */
  readonly after?: string;
}

/** How much a warming does at once. */
export interface CopyingOptions extends CallOptions {
  /** Keys of a batch; default 256. */
  readonly batchKeys?: number;
  /** Batches under way at once; default 4. At most as many entries of either store as both allow are in memory. */
  readonly concurrency?: number;
  /** Called after each batch, in the order of the keys. What it throws ends the warming. */
  readonly onProgress?: (progress: WarmProgress) => void;
}

/**
 * Which keys are copied. `fill-missing` (default): those that the front does not have; nothing is
 * replaced. `mirror`: also those that differ, and what the back does not have is removed. A function
 * gets the keys of both, as sets in memory, and gives the keys to copy; what differs is replaced.
 */
export type WarmStrategy =
  | 'fill-missing'
  | 'mirror'
  | ((frontKeys: ReadonlySet<string>, backKeys: ReadonlySet<string>) => Keys | Promise<Keys>);

/** Options of `warm`. It has no bound unless `timeoutMs` is given, which is for the whole. */
export interface WarmOptions extends CopyingOptions {
  readonly strategy?: WarmStrategy;
  /** Only keys that begin so; default all. */
  readonly prefix?: string;
  /** Go on after this key: `after` of an earlier progress, with the same strategy and prefix. */
  readonly after?: string;
}

export const BATCH_KEYS = 256;
export const CONCURRENCY = 4;

export const COPYING_RULES: OptionRules = {
  batchKeys: is.positive,
  concurrency: is.positive,
  onProgress: is.fn,
  ...CALL_RULES,
};

const WARM_RULES: OptionRules = {
  strategy: is.either(is.oneOf('fill-missing', 'mirror'), is.fn),
  prefix: is.string,
  after: is.text,
  ...COPYING_RULES,
};

/** Refuses options of `warm` that make no sense, with `invalid-argument`. */
export function checkWarmOptions(operation: string, options: WarmOptions | undefined): void {
  checkOptions(operation, options, WARM_RULES);
  const { prefix = '', after } = options ?? {};
  for (const [name, value] of [
    ['prefix', prefix],
    ['after', after ?? ''],
  ] as const)
    if (!value.isWellFormed() || value.charCodeAt(0) === 0)
      throw invalidArgument(operation, `the option ${name}`, value, 'the beginning of a key');
}
