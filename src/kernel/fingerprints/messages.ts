import type { StrataError } from '../../store/errors.ts';
import { failure } from '../../store/errors.ts';
import { compareKeys } from '../../store/keys.ts';
import type { Sum } from './fingerprint.ts';

/** Keys from `lower` on, below `upper`; without it to the last. */
export interface Span {
  readonly lower: string;
  readonly upper: string | undefined;
}

/** The asker wants to know what the answerer holds in these spans, which follow each other in order. */
export interface Ask {
  readonly spans: readonly Span[];
}

/** The span in smaller ones: `bounds` lie between them, one fewer than `sums`. */
export interface SplitPart {
  readonly kind: 'split';
  readonly bounds: readonly string[];
  readonly sums: readonly Sum[];
}

/** Everything in the span, in the order of keys, with two lanes of each fingerprint. */
export interface ListPart {
  readonly kind: 'list';
  readonly keys: readonly string[];
  /** Two words a key. */
  readonly marks: readonly number[];
}

export type Part = SplitPart | ListPart;

/** Says of the first spans that were asked for, one at least, what is there. */
export interface Answer {
  readonly parts: readonly Part[];
}

/** Most spans in one question. */
export const MAX_SPANS = 256;
/** Most parts of a split. */
export const MAX_FAN_OUT = 64;
/** Most keys in one list. */
export const MAX_LISTED = 1_024;

/** The other side says what cannot be. */
export function impossible(what: string): StrataError {
  return failure('corrupt', 'subscribe', `the comparison of ranges went wrong: ${what}`);
}

/** Refuses keys that are not in order, or not within the span; `isInner` when its lower end is none of them. */
export function checkKeys(keys: readonly string[], { lower, upper }: Span, isInner: boolean): void {
  let last = lower;
  for (const [i, key] of keys.entries()) {
    const order = compareKeys(last, key);
    if (order > 0 || (order === 0 && (isInner || i > 0))) throw impossible('keys are out of order');
    last = key;
  }
  if (keys.length > 0 && upper !== undefined && compareKeys(last, upper) >= 0)
    throw impossible('a key lies outside its range');
}
