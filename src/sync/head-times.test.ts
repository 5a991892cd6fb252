import { expect, it } from 'vitest';
import { HeadTimes } from './head-times.ts';

const at = (rev: number, epoch = 'e') => ({ epoch, rev, id: `${rev}` });

it('tells how old the first revision is that somebody lacks, and never says younger', () => {
  const times = new HeadTimes();
  for (let rev = 1; rev <= 5_000; rev++)
    times.moved(rev === 1 ? undefined : at(rev - 1), at(rev), rev * 7);
  for (const rev of [0, 1, 2, 700, 2_499, 4_998, 4_999]) {
    const trueMs = 5_000 * 7 - (rev + 1) * 7;
    expect(times.ageMs(rev, 5_000 * 7)).toBeGreaterThanOrEqual(trueMs);
    expect(times.ageMs(rev, 5_000 * 7)).toBeLessThan(trueMs * 1.1 + 20);
  }
});

it('begins anew with another epoch', () => {
  const times = new HeadTimes();
  times.moved(undefined, at(9), 0);
  times.moved(at(9), at(3, 'other'), 1_000);
  expect(times.ageMs(0, 1_500)).toBe(500);
});
