import { MAX_KEY_BYTES } from './capabilities.ts';
import { failure, invalidArgument, type StrataError } from './errors.ts';
import type { Range } from './operations.ts';

/** Keys that begin so belong to StrataKV itself and are reached through the primitives only. */
export const RESERVED_PREFIX = '\u0000';
/** The least key that users may hold. */
export const FIRST_USER_KEY = '\u0001';

/** Length of a string in bytes of UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is two units and four bytes: each half adds one.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** Refuses what is no key: empty, malformed, too long or reserved. */
export function checkKey(
  operation: string,
  key: unknown,
  maxKeyBytes: number = MAX_KEY_BYTES,
): asserts key is string {
  if (typeof key !== 'string') throw invalidArgument(operation, 'the key', key, 'a string');
  // 3 bytes a unit at most: short keys need no count.
  if (
    key.length !== 0 &&
    key.charCodeAt(0) !== 0 &&
    key.length * 3 <= maxKeyBytes &&
    key.isWellFormed()
  )
    return;
  const refuse = (expected: string): StrataError =>
    invalidArgument(operation, 'the key', key, expected, key);
  if (key === '') throw refuse('at least one character');
  if (key.charCodeAt(0) === 0)
    throw refuse('a key that does not begin with U+0000, which is reserved');
  if (!key.isWellFormed()) throw refuse('well-formed Unicode (no lone surrogates)');
  const bytes = utf8Length(key);
  if (bytes > maxKeyBytes) {
    throw failure(
      'invalid-argument',
      operation,
      `the key ${JSON.stringify(`${key.slice(0, 24)}...`)} has ${bytes} bytes of UTF-8; expected at most ${maxKeyBytes}`,
      { key },
    );
  }
}

/**
 * Orders keys by their UTF-8 bytes. JavaScript's own order is by UTF-16 units and differs where a
 * surrogate (U+10000 and above) meets U+E000 to U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (x >= 0xd800 && y >= 0xd800) return rank(x) - rank(y);
    return x - y;
  }
  return a.length - b.length;
}

/** Moves surrogates above the rest of the basic plane. */
function rank(unit: number): number {
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** The least string above every string with this prefix, or `undefined` when there is none. */
export function afterPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (char) => char.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10ffff) continue;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return undefined;
}

/** One end of a range. */
export interface Bound {
  readonly key: string;
  readonly inclusive: boolean;
}

/** Where a range begins and ends, in the order of keys. */
export interface Bounds {
  readonly lower?: Bound;
  readonly upper?: Bound;
}

/** A range as the primitives take it: at most one bound a side. */
export interface KeyRange extends Bounds {
  readonly reverse: boolean;
  /** `Infinity` when unbounded. */
  readonly limit: number;
}

/** Whether a key lies within the bounds. */
export function inRange(key: string, range: Bounds): boolean {
  const { lower, upper } = range;
  if (lower !== undefined) {
    const order = compareKeys(key, lower.key);
    if (order < 0 || (order === 0 && !lower.inclusive)) return false;
  }
  if (upper !== undefined) {
    const order = compareKeys(key, upper.key);
    if (order > 0 || (order === 0 && !upper.inclusive)) return false;
  }
  return true;
}

function tighter(side: 'lower' | 'upper', a: Bound | undefined, b: Bound): Bound {
  if (a === undefined) return b;
  const order = compareKeys(a.key, b.key) * (side === 'lower' ? 1 : -1);
  if (order !== 0) return order > 0 ? a : b;
  return a.inclusive ? b : a;
}

/** Narrows bounds by another pair. */
export function intersect<R extends Bounds>(range: R, by: Bounds): R {
  const lower = by.lower === undefined ? range.lower : tighter('lower', range.lower, by.lower);
  const upper = by.upper === undefined ? range.upper : tighter('upper', range.upper, by.upper);
  return { ...range, ...(lower && { lower }), ...(upper && { upper }) };
}

/** The bounds of all keys with a prefix. */
export function prefixBounds(prefix: string): Bounds {
  const end = afterPrefix(prefix);
  return {
    lower: { key: prefix, inclusive: true },
    ...(end !== undefined && { upper: { key: end, inclusive: false } }),
  };
}

/** Turns a public range, already checked, into bounds over user keys. */
export function toKeyRange(range: Range = {}): KeyRange {
  let bounds: Bounds = {
    lower: { key: FIRST_USER_KEY, inclusive: true },
  };
  if (range.prefix !== undefined && range.prefix !== '')
    bounds = intersect(bounds, prefixBounds(range.prefix));
  if (range.gte !== undefined)
    bounds = intersect(bounds, { lower: { key: range.gte, inclusive: true } });
  if (range.gt !== undefined)
    bounds = intersect(bounds, { lower: { key: range.gt, inclusive: false } });
  if (range.lte !== undefined)
    bounds = intersect(bounds, { upper: { key: range.lte, inclusive: true } });
  if (range.lt !== undefined)
    bounds = intersect(bounds, { upper: { key: range.lt, inclusive: false } });
  return {
    ...bounds,
    reverse: range.reverse === true,
    limit: range.limit ?? Number.POSITIVE_INFINITY,
  };
}
