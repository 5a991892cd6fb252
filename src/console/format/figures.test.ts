import { expect, test } from 'vitest';
import { age, bytes, count, relative, short, span } from './figures.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1 kB'],
  [1_540, '1.5 kB'],
  [999_400, '999 kB'],
  [999_600, '1 MB'],
  [123_456_789, '123 MB'],
])('bytes(%d) is %s', (value, text) => {
  expect(bytes(value)).toBe(text);
});

test.each([
  [0, '0'],
  [0.5, '0.5'],
  [12, '12'],
  [3_400, '3.4k'],
  [999_700, '1M'],
])('short(%d) is %s', (value, text) => {
  expect(short(value)).toBe(text);
});

test('counts are grouped, spans cut off, moments relative', () => {
  expect(count(1_234_567)).toBe('1,234,567');
  expect(span(500)).toBe('0 s');
  expect(span(3 * 3_600_000 + 5)).toBe('3 h');
  expect(relative(1_000, 2_000)).toBe('just now');
  expect(relative(0, 120_000)).toBe('2 min ago');
  expect(relative(86_400_000, 0)).toBe('in 1 d');
});

test.each([
  [0, '0 s'],
  [500, '0.5 s'],
  [45_000, '45 s'],
  [90_000, '1.5 min'],
  [7_200_000, '2 h'],
])('age(%d) is %s', (ms, text) => {
  expect(age(ms)).toBe(text);
});
