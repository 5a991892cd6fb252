import { expect, test } from 'vitest';
import { valueBytes } from './value-bytes.ts';

test('bytes and text count in full, whatever they stand in', () => {
  const bytes = new Uint8Array(100_000);
  const text = 'x'.repeat(100_000);
  for (const [part, least] of [
    [bytes, 100_000],
    [bytes.buffer, 100_000],
    [new DataView(bytes.buffer), 100_000],
    [text, 200_000],
  ] as const)
    for (const value of [part, [part], { part }, new Map([['a', part]]), new Set([part])]) {
      expect(valueBytes(value)).toBeGreaterThanOrEqual(least);
      expect(valueBytes(value)).toBeLessThan(least + 300);
    }
  expect(valueBytes(new Map([[text, 1]]))).toBeGreaterThan(200_000);
});

test('what holds much counts much', () => {
  const many = Array.from({ length: 1_000 }, (_, i) => i);
  expect(valueBytes(many)).toBeGreaterThanOrEqual(8_000);
  expect(valueBytes(new Set(many))).toBeGreaterThanOrEqual(16_000);
  expect(valueBytes(Object.fromEntries(many.map((i) => [`name${i}`, i])))).toBeGreaterThan(16_000);
});

test('every value counts something', () => {
  for (const value of [null, 0, false, '', 1n, {}, [], new Date(), /x/, new Map(), () => 1])
    expect(valueBytes(value)).toBeGreaterThan(0);
});

test('shared, cyclic, deep and hostile values are counted once and do no harm', () => {
  const text = ['x'.repeat(10_000)];
  expect(valueBytes([text, text, text])).toBeLessThan(21_000);
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  expect(valueBytes(cyclic)).toBeLessThan(100);
  let deep: unknown[] = [];
  for (let i = 0; i < 100_000; i++) deep = [deep];
  expect(valueBytes(deep)).toBeGreaterThan(100_000);
  const hostile = {
    get part(): unknown {
      throw new Error('not for you');
    },
  };
  expect(valueBytes(hostile)).toBeGreaterThan(0);
});
