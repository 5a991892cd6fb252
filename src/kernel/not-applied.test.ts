import { expect, test } from 'vitest';
import { StrataError } from '../store/errors.ts';
import { isNotApplied } from './not-applied.ts';

test('a commit of which a part was applied is none that was not', () => {
  const failed = (details?: object): StrataError =>
    new StrataError('unavailable', 'gone', {
      operation: 'batch',
      ...(details && { details: { ...details } }),
    });
  expect(isNotApplied(failed())).toBe(true);
  expect(isNotApplied(failed({ applied: [] }))).toBe(true);
  expect(isNotApplied(failed({ applied: ['a'] }))).toBe(false);
  expect(isNotApplied(new StrataError('unknown-outcome', 'gone', { operation: 'set' }))).toBe(
    false,
  );
});
