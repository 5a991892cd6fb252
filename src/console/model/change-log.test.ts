import { expect, test } from 'vitest';
import { ChangeLog } from './change-log.ts';

test('gives the newest first, up to a number, by what the key contains', () => {
  const log = new ChangeLog();
  log.add('a/1', new Uint8Array(1_000), 1, 10);
  log.add('b/1', undefined, 2, 20);
  log.add('a/2', Uint8Array.of(1), 3, 30);
  const keys = (...asked: Parameters<ChangeLog['newest']>): string[] =>
    log.newest(...asked).map(({ key }) => key);
  expect(keys()).toEqual(['a/2', 'b/1', 'a/1']);
  expect(keys(2)).toEqual(['b/1', 'a/1']);
  expect(keys(undefined, 'a/')).toEqual(['a/2', 'a/1']);
  expect(log.newest(1)[0]).toMatchObject({ number: 1, size: 1_000, deleted: false, rev: 1 });
  expect(log.newest(1)[0]?.head.buffer.byteLength).toBeLessThan(1_000);
  expect(log.newest(2)[0]).toMatchObject({ deleted: true, size: 0 });
});

test('forgets the oldest, and counts all', () => {
  const log = new ChangeLog(10);
  for (let i = 1; i <= 1_000; i++) log.add(`k${i}`, undefined, i, i);
  expect(log.count).toBe(1_000);
  expect(log.newest().map(({ number }) => number)).toEqual([
    1_000, 999, 998, 997, 996, 995, 994, 993, 992, 991,
  ]);
});
