import { invalidArgument } from '../store/errors.ts';
import * as is from '../store/option-rules.ts';
import { CALL_RULES, type OptionRules } from '../store/options.ts';
import type { Keys } from './walker.ts';

/** Where a walk begins: keys, or a function that gives them and is asked at each beginning. */
export type Roots = Keys | (() => Keys | Promise<Keys>);

/** How much is read at once. */
export interface ReadingOptions {
  /** Batches under way at once, each read and then shown to the walker; default 4. */
  readonly concurrency?: number;
  /** Keys of a batch; default 64. */
  readonly batchKeys?: number;
}

/** Batches under way at once where nothing is said. */
export const CONCURRENCY = 4;
/** Keys of a batch where nothing is said. */
export const BATCH_KEYS = 64;

/** Rules of the options that walks and sweeps share. */
export const READING_RULES: OptionRules = {
  concurrency: is.positive,
  batchKeys: is.positive,
  onProgress: is.fn,
  onMissing: is.fn,
  ...CALL_RULES,
};

/** Refuses what is no walker. */
export function checkWalker(operation: string, walker: unknown): void {
  if (typeof walker !== 'function')
    throw invalidArgument(operation, 'the walker', walker, 'a function from (key, value) to keys');
}

/** Refuses what are no roots, before they are asked. A string would pass for an iterable of its characters. */
export function checkRoots(operation: string, roots: unknown, mayBeAsked = true): void {
  const given = typeof roots === 'object' && roots !== null;
  if (given && (Symbol.iterator in roots || Symbol.asyncIterator in roots)) return;
  if (typeof roots !== 'function' || !mayBeAsked)
    throw invalidArgument(
      operation,
      'the roots argument',
      roots,
      'an iterable of keys, or a function that gives one',
    );
}
