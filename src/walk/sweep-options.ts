import type { Cursor, Entry } from '../store/entry.ts';
import { failure } from '../store/errors.ts';
import type { CallOptions } from '../store/operations.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import { READING_RULES, type ReadingOptions } from './options.ts';

/** What a sweep did. `examined` is the sum of the others. */
export interface SweepResult {
  /** Keys looked at: all of the prefix. */
  readonly examined: number;
  /** Reachable, or kept by `keep`, or what these and entries that are too young point to. */
  readonly kept: number;
  /** Removed; with `dryRun`, what would have been. */
  readonly swept: number;
  /** Unreachable, and too young to go. */
  readonly tooYoung: number;
  /** About to go, and written or removed by somebody else first. */
  readonly changed: number;
}

/** How far a sweep has come. */
export interface SweepProgress extends SweepResult {
  /** `mark`: finding out what stays; `sweep`: removing the rest. */
  readonly phase: 'mark' | 'sweep';
  /** Keys known to stay so far. */
  readonly marked: number;
}

/** Options of `sweep`. One of `olderThan` and `olderThanMs` is needed. `timeoutMs` bounds each step, never the whole. */
export interface SweepOptions<V> extends CallOptions, ReadingOptions {
  /** Only what was written before goes: a time (a date, or ms since 1970), or a cursor that the store gave, which needs no clock. */
  readonly olderThan?: number | Date | Cursor;
  /** Only what was written so long before the sweep goes: longer than any writer takes from its first write to the one that makes all of them reachable. */
  readonly olderThanMs?: number;
  /** Only keys that begin so are examined; the others stay, and point to something only where they are reachable. Default all. */
  readonly prefix?: string;
  /** True: the entry stays as a root does, with all that it points to. */
  readonly keep?: (key: string, entry: Entry<V>) => boolean | Promise<boolean>;
  /**
   * True: where the roots turn out to be none, everything that is old enough goes. Default false:
   * that is refused with `invalid-argument`, also as a dry run.
   */
  readonly allowNoRoots?: boolean;
  /** Removes nothing, and counts what would go. */
  readonly dryRun?: boolean;
  /** Hears of every key that was removed; with `dryRun`, of every key that would be. */
  readonly onSwept?: (key: string) => void;
  /** Hears of a key that a reachable entry points to and the store does not have; the sweep then goes on. Without it, the sweep fails with `data-missing` and removes nothing more. */
  readonly onMissing?: (key: string, from: string | undefined) => void;
  /** Called after each batch. */
  readonly onProgress?: (progress: SweepProgress) => void;
}

const RULES: OptionRules = {
  olderThan: {
    expected: 'a date, a time in ms since 1970, or a cursor',
    accepts: (v) =>
      is.timeMs.accepts(v) || is.text.accepts(v) || (v instanceof Date && is.timeMs.accepts(+v)),
  },
  olderThanMs: {
    expected: 'a number of ms of at least 0',
    accepts: (v) => Number.isFinite(v) && (v as number) >= 0,
  },
  prefix: is.string,
  keep: is.fn,
  allowNoRoots: is.boolean,
  dryRun: is.boolean,
  onSwept: is.fn,
  ...READING_RULES,
};

/** Refuses options that are wrong, and those that do not say what is old enough. */
export function checkSweepOptions<V>(options: SweepOptions<V>): void {
  checkOptions('sweep', options, RULES, []);
  const { olderThan, olderThanMs } = options ?? {};
  if ((olderThan === undefined) !== (olderThanMs === undefined)) return;
  throw failure(
    'invalid-argument',
    'sweep',
    `${olderThan === undefined ? 'neither' : 'both'} of olderThan and olderThanMs is given; expected one: what a writer has written and not yet made reachable must be younger`,
  );
}
