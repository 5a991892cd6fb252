import { expect, test } from 'vitest';
import { formatRoute, parseRoute, type Route } from './route.ts';
import { tokenIn } from './token.ts';

test.each<Route>([
  { view: 'overview' },
  { view: 'live' },
  { view: 'archive' },
  { view: 'keys' },
  { view: 'keys', key: 'a/b c?#%' },
  { view: 'keys', key: 'ä\u{1f600}' },
])('the address of %j leads there', (route) => {
  expect(parseRoute(formatRoute(route))).toEqual(route);
});

test.each(['', '#', '#/', '#/nowhere', '#token=abc'])('%j leads to the overview', (hash) => {
  expect(parseRoute(hash)).toEqual({ view: 'overview' });
});

test('a key that cannot be decoded is none', () => {
  expect(parseRoute('#/keys/%E0%A4%A')).toEqual({ view: 'keys' });
});

test('a token is found in the address that carries it', () => {
  expect(tokenIn(' http://127.0.0.1:7420/#token=abc-1 ')).toBe('abc-1');
  expect(tokenIn(' abc-1\n')).toBe('abc-1');
});
