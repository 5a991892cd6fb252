import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareKeys, inRange, type KeyRange, toKeyRange } from '../store/keys.ts';
import { SortedKeys } from './sorted-keys.ts';

type Bounds = Pick<KeyRange, 'lower' | 'upper' | 'reverse'>;

function naive(keys: ReadonlySet<string>, range: Bounds, after: string | undefined): string[] {
  const sign = range.reverse ? -1 : 1;
  return [...keys]
    .filter((key) => inRange(key, range))
    .sort((a, b) => sign * compareKeys(a, b))
    .filter((key) => after === undefined || sign * compareKeys(key, after) > 0);
}

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'b\u0001', '\ud7ff', '\ue000', '\u{10000}', '\uffff'),
  fc.integer({ min: 0, max: 1_500 }).map((n) => `k${n}`),
);
const range = fc
  .record(
    {
      gt: key,
      gte: key,
      lt: key,
      lte: key,
      prefix: fc.constantFrom('k1', 'b'),
      reverse: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  .map(toKeyRange);

it('holds keys in order, whatever comes and goes', () => {
  const step = fc.oneof(
    fc.record({ add: fc.array(key, { maxLength: 200, size: 'max' }) }),
    fc.record({ remove: fc.array(key, { maxLength: 150, size: 'max' }) }),
    fc.record({
      range,
      after: fc.option(key, { nil: undefined }),
      count: fc.integer({ min: 1, max: 300 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
      const sorted = new SortedKeys();
      const model = new Set<string>();
      for (const one of steps) {
        if ('add' in one) {
          for (const added of new Set(one.add)) if (!model.has(added)) sorted.add(added);
          for (const added of one.add) model.add(added);
        } else if ('remove' in one) {
          for (const removed of one.remove) if (model.delete(removed)) sorted.delete(removed);
        } else {
          const expected = naive(model, one.range, one.after).slice(0, one.count);
          // A page that begins beyond its own range is not asked for.
          if (one.after !== undefined && !inRange(one.after, one.range)) continue;
          expect(sorted.page(one.range, one.after, one.count)).toEqual(expected);
        }
        expect(sorted.size).toBe(model.size);
      }
      const all = { reverse: false };
      expect(sorted.page(all, undefined, 1e6)).toEqual(naive(model, all, undefined));
    }),
    { numRuns: 200 },
  );
});

it('splits and empties its chunks', () => {
  const sorted = new SortedKeys();
  const names = Array.from({ length: 5_000 }, (_, n) => `k${String(n).padStart(5, '0')}`);
  for (const name of names) sorted.add(name);
  const all = { reverse: false };
  expect(sorted.page(all, undefined, 1e6)).toEqual(names);
  // One by one into one place, so that a chunk must split.
  for (let n = 0; n < 2_000; n++) {
    sorted.add(`k00100:${String(n).padStart(4, '0')}`);
    if (n % 50 === 0) sorted.page(all, undefined, 1);
  }
  expect(sorted.page(all, 'k00100', 2_000)).toHaveLength(2_000);
  for (const name of sorted.page(all, undefined, 1e6)) sorted.delete(name);
  expect(sorted.size).toBe(0);
  expect(sorted.page(all, undefined, 10)).toEqual([]);
  sorted.add('again');
  expect(sorted.page({ reverse: true }, undefined, 10)).toEqual(['again']);
  sorted.clear();
  expect(sorted.page(all, undefined, 10)).toEqual([]);
});
