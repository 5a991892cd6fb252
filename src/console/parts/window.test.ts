import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentPx, scrollTo, windowAt } from './window.ts';

const size = fc.record({
  rows: fc.integer({ min: 0, max: 2_000_000 }),
  rowPx: fc.integer({ min: 20, max: 60 }),
  heightPx: fc.integer({ min: 50, max: 2_000 }),
});

test('at every place of the scroll bar the rows drawn fill what is seen, and are few', () => {
  fc.assert(
    fc.property(size, fc.double({ min: 0, max: 1, noNaN: true }), (list, share) => {
      const { rows, rowPx, heightPx } = list;
      const scroll = Math.max(0, contentPx(list) - heightPx) * share;
      const { first, end, topPx } = windowAt(list, scroll);
      const bottom = Math.min(scroll + heightPx, contentPx(list));
      expect(topPx).toBeLessThanOrEqual(scroll + 0.01);
      expect(topPx + (end - first) * rowPx).toBeGreaterThanOrEqual(bottom - 0.01);
      expect(end - first).toBeLessThanOrEqual(heightPx / rowPx + 20);
      expect(end).toBeLessThanOrEqual(rows);
    }),
  );
});

test('a row scrolled to is seen whole', () => {
  fc.assert(
    fc.property(size, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (list, at, share) => {
      fc.pre(list.rows > 0 && list.heightPx > list.rowPx);
      const row = at % list.rows;
      const before = Math.max(0, contentPx(list) - list.heightPx) * share;
      const scroll = scrollTo(list, row, before) ?? before;
      const { first, topPx } = windowAt(list, scroll);
      const rowTop = topPx + (row - first) * list.rowPx;
      expect(rowTop).toBeGreaterThanOrEqual(scroll - 0.5);
      expect(rowTop + list.rowPx).toBeLessThanOrEqual(scroll + list.heightPx + 0.5);
      expect(scroll).toBeGreaterThanOrEqual(-0.01);
      expect(scroll).toBeLessThanOrEqual(Math.max(0, contentPx(list) - list.heightPx) + 0.5);
    }),
  );
});
