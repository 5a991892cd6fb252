import { compareKeys } from '../../store/keys.ts';
import type { Fingerprinter } from './fingerprint.ts';
import {
  type Answer,
  type Ask,
  impossible,
  type ListPart,
  MAX_FAN_OUT,
  MAX_LISTED,
  MAX_SPANS,
  type Part,
  type Span,
} from './messages.ts';
import type { RangeSums } from './range-sums.ts';

/** Parts of a range that differs; see `bench/suites/sync.ts` for what it costs. */
export const FAN_OUT = 16;

/** An entry as the comparison sees it. */
export interface StampedKey {
  readonly key: string;
  /** Names what the entry holds. */
  readonly stamp: string;
  readonly expiresAt?: number | undefined;
}

/** The answerer must read: give every entry of the span to `add`, in the order of keys. */
export interface ScanRequest {
  readonly span: Span;
  add(entry: StampedKey): void;
}

export interface AnswererLimits {
  /** An answer ends with the part that brings it to so many bytes, roughly. */
  readonly answerBytes: number;
  readonly fanOut?: number;
}

const SUM_BYTES = 20;
const MARK_BYTES = 10;

/** What is held, for one who asks. Pure: what it needs to read it asks for. */
export class Answerer {
  readonly #sums: RangeSums;
  readonly #fingerprinter: Fingerprinter;
  readonly #answerBytes: number;
  readonly #fanOut: number;
  /** Keys listed so far. */
  listed = 0;

  constructor(sums: RangeSums, fingerprinter: Fingerprinter, limits: AnswererLimits) {
    this.#sums = sums;
    this.#fingerprinter = fingerprinter;
    this.#answerBytes = limits.answerBytes;
    this.#fanOut = Math.min(MAX_FAN_OUT, limits.fanOut ?? FAN_OUT);
  }

  /**
   * Answers a question, from its beginning as far as an answer reaches. Yields what must be read
   * first. Returns `'unknown'` for ranges that can no longer be told apart.
   *
   * Errors: `corrupt` for a question that makes no sense.
   */
  *answer({ spans }: Ask): Generator<ScanRequest, Answer | 'unknown'> {
    checkSpans(spans);
    const parts: Part[] = [];
    let bytes = 0;
    for (const span of spans) {
      yield* this.bringUpToDate(span);
      const split = this.#sums.split(span, this.#fanOut);
      if (split === 'unknown') return 'unknown';
      const part = split ?? (yield* this.#list(span));
      if (part.kind === 'list' && part.keys.length > MAX_LISTED) return 'unknown';
      parts.push(part);
      bytes += roughBytes(part);
      if (bytes >= this.#answerBytes) break;
    }
    return { parts };
  }

  /** Reads what changed within a span since it was last read. */
  *bringUpToDate(span: Span): Generator<ScanRequest, void> {
    for (;;) {
      const reading = this.#sums.reading(span);
      if (reading === undefined) return;
      yield {
        span: reading.span,
        add: ({ key, stamp, expiresAt }) =>
          reading.add(key, this.#fingerprinter.take(key, stamp), expiresAt),
      };
      reading.end();
    }
  }

  *#list(span: Span): Generator<ScanRequest, ListPart> {
    const keys: string[] = [];
    const marks: number[] = [];
    yield {
      span,
      add: ({ key, stamp }) => {
        // One more than may be: that many are never kept.
        if (keys.length > MAX_LISTED) return;
        const { a, b } = this.#fingerprinter.take(key, stamp);
        keys.push(key);
        marks.push(a, b);
      },
    };
    this.listed += keys.length;
    return { kind: 'list', keys, marks };
  }
}

function checkSpans(spans: readonly Span[]): void {
  if (spans.length === 0 || spans.length > MAX_SPANS)
    throw impossible(`a question of ${spans.length} ranges`);
  let last: Span | undefined;
  for (const span of spans) {
    const { lower, upper } = span;
    const begins = last === undefined || (last.upper !== undefined && !isBelow(lower, last.upper));
    if (!begins || (upper !== undefined && !isBelow(lower, upper)))
      throw impossible('ranges are out of order');
    last = span;
  }
}

function isBelow(a: string, b: string): boolean {
  return compareKeys(a, b) < 0;
}

function roughBytes(part: Part): number {
  const [keys, each] = part.kind === 'list' ? [part.keys, MARK_BYTES] : [part.bounds, SUM_BYTES];
  // Three bytes a unit at most.
  return keys.reduce((bytes, key) => bytes + key.length * 3 + each, SUM_BYTES);
}
