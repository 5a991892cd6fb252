import { compareKeys } from '../../store/keys.ts';
import { type Fingerprinter, isSameSum, RunningSum } from './fingerprint.ts';
import {
  type Answer,
  type Ask,
  checkKeys,
  impossible,
  type ListPart,
  MAX_FAN_OUT,
  MAX_LISTED,
  MAX_SPANS,
  type Span,
  type SplitPart,
} from './messages.ts';

/** What an asker puts up with. */
export interface AskerLimits {
  /** Text of the keys that differ, in UTF-16 units. */
  readonly wantedUnits: number;
  /** Ranges that wait to be asked for. */
  readonly waiting: number;
  /** Splits of splits. */
  readonly depth: number;
  /** Ranges and keys that the other side may name altogether. */
  readonly named: number;
  /** Of the entries on the larger side, the part that may differ. */
  readonly differing: number;
}

const DEFAULTS: AskerLimits = {
  wantedUnits: 2 * 1024 * 1024,
  waiting: 256 * 1024,
  depth: 16,
  named: 32 * 1024 * 1024,
  differing: 0.5,
};

/** What the asker does next: asks, or is done, with the keys that differ in their order; or gives up, because too much does. */
export type Next =
  | { readonly do: 'ask'; readonly ask: Ask }
  | { readonly do: 'done'; readonly wanted: readonly string[] }
  | { readonly do: 'give-up' };

/** Own entries that are wanted for a comparison: give every one of the span to `add`, in order, then call `end`. */
export interface Comparison {
  readonly span: Span;
  add(key: string, stamp: string): void;
  end(): void;
}

interface Waiting extends Span {
  readonly depth: number;
}

/**
 * Finds the keys in which two sets of entries differ: held by one side only, or with other stamps.
 * Pure: `next` says what to ask, `take` takes the answer and says which own entries to compare.
 */
export class Asker {
  readonly #fingerprinter: Fingerprinter;
  readonly #limits: AskerLimits;
  #waiting: Waiting[];
  #asked: readonly Waiting[] = [];
  #wanted: string[] = [];
  #wantedUnits = 0;
  /** Entries on the larger side, as far as is known. */
  #total = 0;
  #named = 0;

  constructor(fingerprinter: Fingerprinter, whole: Span, limits: Partial<AskerLimits> = {}) {
    this.#fingerprinter = fingerprinter;
    this.#limits = { ...DEFAULTS, ...limits };
    this.#waiting = [{ ...whole, depth: 0 }];
  }

  next(): Next {
    const { wantedUnits, waiting, differing } = this.#limits;
    const differsMuch = this.#total > 0 && this.#wanted.length > this.#total * differing;
    if (differsMuch || this.#wantedUnits > wantedUnits || this.#waiting.length > waiting)
      return { do: 'give-up' };
    if (this.#waiting.length === 0) return { do: 'done', wanted: this.#wanted.sort(compareKeys) };
    this.#asked = this.#waiting.splice(0, MAX_SPANS);
    const spans = this.#asked.map(({ lower, upper }) => ({ lower, upper }));
    return { do: 'ask', ask: { spans } };
  }

  /** Errors: `corrupt` for an answer that cannot be. */
  take({ parts }: Answer): Comparison[] {
    const asked = this.#asked;
    if (parts.length === 0 || parts.length > asked.length)
      throw impossible(`${parts.length} answers to ${asked.length} questions`);
    this.#asked = [];
    // In the order of keys, as questions must be: what was not answered yet lies behind.
    const later = [...asked.slice(parts.length), ...this.#waiting];
    const found: Waiting[] = [];
    this.#waiting = later;
    return parts.map((part, i) => {
      const span = asked[i] as Waiting;
      const comparison =
        part.kind === 'split' ? this.#split(span, part, found) : this.#list(span, part);
      if (i < parts.length - 1) return comparison;
      return {
        ...comparison,
        end: () => {
          comparison.end();
          this.#waiting = found.concat(later);
        },
      };
    });
  }

  #split(span: Waiting, { bounds, sums }: SplitPart, found: Waiting[]): Comparison {
    if (sums.length < 2 || sums.length > MAX_FAN_OUT || bounds.length !== sums.length - 1)
      throw impossible(`a range in ${sums.length} parts`);
    const depth = span.depth + 1;
    if (depth > this.#limits.depth) throw impossible('ranges are split without end');
    checkKeys(bounds, span, true);
    this.#name(sums.length);
    const own = sums.map(() => new RunningSum());
    let at = 0;
    return {
      span,
      add: (key, stamp) => {
        while (at < bounds.length && compareKeys(bounds[at] as string, key) <= 0) at++;
        own[at]?.add(this.#fingerprinter.take(key, stamp));
      },
      end: () => {
        if (depth === 1) this.#total = Math.max(countOf(sums), countOf(own));
        for (const [i, theirs] of sums.entries()) {
          if (isSameSum(theirs, own[i] as RunningSum)) continue;
          const lower = bounds[i - 1] ?? span.lower;
          found.push({ lower, upper: bounds[i] ?? span.upper, depth });
        }
      },
    };
  }

  #list(span: Waiting, { keys, marks }: ListPart): Comparison {
    if (keys.length > MAX_LISTED || marks.length !== keys.length * 2)
      throw impossible(`a list of ${keys.length} keys`);
    checkKeys(keys, span, false);
    this.#name(keys.length);
    let at = 0;
    const theirsBelow = (key: string | undefined): void => {
      for (; at < keys.length; at++) {
        const theirs = keys[at] as string;
        if (key !== undefined && compareKeys(theirs, key) >= 0) return;
        this.#want(theirs);
      }
    };
    return {
      span,
      add: (key, stamp) => {
        theirsBelow(key);
        if (keys[at] !== key) return this.#want(key);
        const { a, b } = this.#fingerprinter.take(key, stamp);
        if (a !== marks[at * 2] || b !== marks[at * 2 + 1]) this.#want(key);
        at++;
      },
      end: () => theirsBelow(undefined),
    };
  }

  #want(key: string): void {
    // Beyond the limit it is given up; nothing more is kept until then.
    if (this.#wantedUnits > this.#limits.wantedUnits) return;
    this.#wanted.push(key);
    this.#wantedUnits += key.length;
  }

  #name(count: number): void {
    this.#named += count;
    if (this.#named > this.#limits.named) throw impossible('too many ranges and keys');
  }
}

function countOf(sums: readonly { readonly count: number }[]): number {
  return sums.reduce((count, sum) => count + sum.count, 0);
}
