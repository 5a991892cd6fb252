import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../store/keys.ts';
import { justBefore, keyOf, nameOf } from './names.ts';

const key = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom('a', 'b', '\u0000', '\u0001', '\uffff', '😀', 'é'),
    minLength: 1,
  }),
);
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

describe('the names of objects', () => {
  it('stand in the order of the keys, and tell them', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compare(nameOf(a), nameOf(b)))).toBe(Math.sign(compareKeys(a, b)));
        expect(keyOf(nameOf(a))).toBe(a);
      }),
      { numRuns: 1_000 },
    );
  });

  it('have a place right before each, after all that are below', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        const place = justBefore(nameOf(a));
        expect(place < nameOf(a)).toBe(true);
        if (compareKeys(b, a) < 0) expect(nameOf(b) <= place).toBe(true);
        else expect(nameOf(b) > place).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are plain, short enough, and no key has two', () => {
    const long = '\u{10ffff}'.repeat(160);
    expect(nameOf(long)).toMatch(/^[-0-9A-Z_a-z]{854}$/);
    for (const name of ['', 'a', 'ab/c', 'NK~', `${nameOf('abc')}-`, 'NLzzz', '.probe'])
      expect(keyOf(name)).toBeUndefined();
    // Bits left over that are not zero.
    const last = nameOf('a').at(-1) as string;
    const other = String.fromCharCode(last.charCodeAt(0) + 1);
    expect(keyOf(nameOf('a').slice(0, -1) + other)).toBeUndefined();
  });
});
