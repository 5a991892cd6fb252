import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareKeys } from '../../store/keys.ts';
import { KeyIndex } from './key-index.ts';

function indexOf(...keys: string[]): KeyIndex {
  const index = new KeyIndex();
  index.load(keys);
  return index;
}

const allOf = (index: KeyIndex): (string | undefined)[] =>
  Array.from({ length: index.size }, (_, place) => index.at(place));

describe('KeyIndex', () => {
  test('finds the span of a prefix', () => {
    const index = indexOf('a', 'a/1', 'a/2', 'a0', 'b');
    expect(index.span('')).toEqual({ start: 0, end: 5 });
    expect(index.span('a/')).toEqual({ start: 1, end: 3 });
    expect(index.span('a')).toEqual({ start: 0, end: 4 });
    expect(index.span('a/3')).toEqual({ start: 3, end: 3 });
    expect(index.span('\u{10ffff}')).toEqual({ start: 5, end: 5 });
  });

  test('says whether anything moved', () => {
    const index = indexOf('a', 'c');
    expect(index.apply(new Map([['a', true]]))).toBe(false);
    expect(index.apply(new Map([['b', false]]))).toBe(false);
    expect(index.apply(new Map([['b', true]]))).toBe(true);
    const one = Array.from({ length: 100 }, (_, i): [string, boolean] => [`x${i}`, false]);
    expect(index.apply(new Map(one))).toBe(false);
    expect(index.apply(new Map([...one, ['c', false]]))).toBe(true);
    expect(allOf(index)).toEqual(['a', 'b']);
  });

  test('has the keys of a set, in order, after any changes in groups of any size', () => {
    const key = fc.string({
      unit: fc.constantFrom('a', 'b', '/', '\u{fffd}', '\u{1f600}'),
      minLength: 1,
    });
    const group = fc.array(fc.tuple(key, fc.boolean()), { maxLength: 200 });
    fc.assert(
      fc.property(fc.array(group, { maxLength: 6 }), (groups) => {
        const index = new KeyIndex();
        const model = new Set<string>();
        for (const changes of groups) {
          const known = new Map(changes);
          const same = [...known].every(([one, exists]) => model.has(one) === exists);
          for (const [one, exists] of known) exists ? model.add(one) : model.delete(one);
          expect(index.apply(known)).toBe(!same);
        }
        expect(allOf(index)).toEqual([...model].sort(compareKeys));
        for (const one of model) expect(index.at(index.placeOf(one))).toBe(one);
      }),
    );
  });

  test('takes a change among 100,000 keys in far less than a frame', () => {
    const keys = Array.from({ length: 100_000 }, (_, i) => `k/${String(i).padStart(6, '0')}`);
    const index = new KeyIndex();
    index.load(keys);
    // Not the time that passes, which other work on the machine takes too.
    const before = process.cpuUsage();
    for (let i = 0; i < 200; i++) index.apply(new Map([[`k/${i * 500}x`, true]]));
    const { user } = process.cpuUsage(before);
    expect(user / 1_000 / 200).toBeLessThan(4);
  });
});
