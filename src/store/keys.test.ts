import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterPrefix,
  type Bound,
  checkKey,
  compareKeys,
  inRange,
  intersect,
  prefixBounds,
  toKeyRange,
  utf8Length,
} from './keys.ts';

/** Characters about every border of UTF-8 and UTF-16, so that random strings meet there. */
const borders = [
  ...['\u0000', '\u0001', 'a', 'b', '\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000'],
  ...['\uffff', '\u{10000}', '\u{10001}', '\u{103ff}', '\u{10400}', '\u{1f600}', '\u{10ffff}'],
];
const text = fc.oneof(
  fc.array(fc.constantFrom(...borders), { maxLength: 6 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 12 }),
);

const sign = (order: number): number => Math.sign(order);
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe('utf8Length', () => {
  it('counts the bytes of any well-formed string', () => {
    fc.assert(
      fc.property(text, (one) => {
        expect(utf8Length(one)).toBe(Buffer.byteLength(one));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('compareKeys', () => {
  it('orders as the bytes do', () => {
    fc.assert(
      fc.property(text, text, text, (prefix, a, b) => {
        expect(sign(compareKeys(prefix + a, prefix + b))).toBe(byBytes(prefix + a, prefix + b));
      }),
      { numRuns: 4_000 },
    );
  });

  it('orders every pair of borders, also where the order of JavaScript differs', () => {
    for (const a of borders)
      for (const b of borders) expect(sign(compareKeys(a, b))).toBe(byBytes(a, b));
    expect('\u{10000}' < '\uffff').toBe(true);
    expect(compareKeys('\u{10000}', '\uffff')).toBeGreaterThan(0);
  });
});

describe('afterPrefix', () => {
  it('gives the least string above all that begin with a prefix', () => {
    fc.assert(
      fc.property(
        text.filter((prefix) => prefix !== ''),
        text,
        text,
        (prefix, rest, other) => {
          const end = afterPrefix(prefix);
          if (end === undefined) {
            expect([...prefix].every((char) => char === '\u{10ffff}')).toBe(true);
            return;
          }
          expect(end.isWellFormed()).toBe(true);
          expect(compareKeys(prefix + rest, end)).toBeLessThan(0);
          // Nothing lies between what begins so and the end.
          const between = compareKeys(other, prefix) >= 0 && compareKeys(other, end) < 0;
          expect(other.startsWith(prefix)).toBe(between);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ['a', 'b'],
    ['a\u{10ffff}', 'b'],
    ['\ud7ff', '\ue000'],
    ['\uffff', '\u{10000}'],
    ['x\u007f', 'x\u0080'],
    ['\u{10ffff}\u{10ffff}', undefined],
    ['', undefined],
  ])('of %j is %j', (prefix, end) => {
    expect(afterPrefix(prefix)).toBe(end);
  });
});

describe('checkKey', () => {
  it('accepts exactly what is a key', () => {
    const units = fc.array(fc.constantFrom('a', '\u0000', '\ud800', '\udc00', '😀', 'ü', '€'), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(units, fc.integer({ min: 1, max: 12 }), (parts, max) => {
        const key = parts.join('');
        const good =
          key !== '' && key[0] !== '\u0000' && key.isWellFormed() && Buffer.byteLength(key) <= max;
        const check = (): void => checkKey('set', key, max);
        if (good) expect(check).not.toThrow();
        else expect(check).toThrow(expect.objectContaining({ code: 'invalid-argument', key }));
      }),
      { numRuns: 2_000 },
    );
  });

  it('says where, what came and what would be right', () => {
    expect(() => checkKey('set', 5)).toThrow('set: the key is 5; expected a string');
    expect(() => checkKey('set', 'é'.repeat(300))).toThrow(
      /has 600 bytes of UTF-8; expected at most 512/,
    );
    expect(() => checkKey('set', `${'a'.repeat(600)}`)).toThrow(/aaa\.\.\."/);
  });
});

describe('ranges', () => {
  const bound = fc.option(text, { nil: undefined });

  it('holds a key exactly when every bound of the public range does', () => {
    fc.assert(
      fc.property(
        fc.record({ prefix: bound, gt: bound, gte: bound, lt: bound, lte: bound }),
        text.filter((key) => key >= '\u0001'),
        (given, key) => {
          const named = Object.entries(given).filter(([, value]) => value !== undefined);
          const { prefix = '', gt, gte, lt, lte } = given;
          const expected =
            key.startsWith(prefix) &&
            (gt === undefined || byBytes(key, gt) > 0) &&
            (gte === undefined || byBytes(key, gte) >= 0) &&
            (lt === undefined || byBytes(key, lt) < 0) &&
            (lte === undefined || byBytes(key, lte) <= 0);
          expect(inRange(key, toKeyRange(Object.fromEntries(named)))).toBe(expected);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('never reaches a reserved key', () => {
    for (const range of [{}, { gte: '' }, { gte: '\u0000' }, { prefix: '\u0000' }, { lt: 'b' }])
      expect(inRange('\u0000feed', toKeyRange(range))).toBe(false);
  });

  it('narrows to what lies in both', () => {
    const side = fc.option(
      fc.record({ key: text, inclusive: fc.boolean() }) satisfies fc.Arbitrary<Bound>,
      { nil: undefined },
    );
    const bounds = fc.record({ lower: side, upper: side }).map(({ lower, upper }) => ({
      ...(lower && { lower }),
      ...(upper && { upper }),
    }));
    fc.assert(
      fc.property(bounds, bounds, text, (a, b, key) => {
        expect(inRange(key, intersect(a, b))).toBe(inRange(key, a) && inRange(key, b));
      }),
      { numRuns: 2_000 },
    );
  });

  it('has bounds for every prefix', () => {
    fc.assert(
      fc.property(text, text, (prefix, key) => {
        expect(inRange(key, prefixBounds(prefix))).toBe(key.startsWith(prefix));
      }),
      { numRuns: 2_000 },
    );
  });
});
