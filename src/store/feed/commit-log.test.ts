import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '../entry.ts';
import { CommitLog } from './commit-log.ts';

const change = (key: string, rev: number, length: number): Change<Uint8Array> => ({
  type: 'set',
  key,
  rev,
  value: new Uint8Array(length),
  version: `v${rev}`,
  modifiedAt: 0,
});

describe('the log of commits', () => {
  it('holds the last commits, bounded in bytes, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 60 }),
        fc.integer({ min: 0, max: 3_000 }),
        (sizes, maxBytes) => {
          const log = new CommitLog<Uint8Array>(maxBytes);
          for (const [n, size] of sizes.entries()) {
            const rev = n + 1;
            log.append([change('k', rev, size)], { epoch: 'e', rev, id: `id${rev}` });
            expect(log.bytes).toBeLessThanOrEqual(maxBytes);
          }
          const kept = sizes.map((_, n) => log.at(n + 1)?.end.rev);
          const first = kept.findIndex((rev) => rev !== undefined);
          const from = first < 0 ? sizes.length : first;
          expect(kept).toEqual(sizes.map((_, n) => (n < from ? undefined : n + 1)));
          expect(log.at(0)).toBeUndefined();
          expect(log.at(sizes.length + 1)).toBeUndefined();
          expect(log.idOf(sizes.length)).toBe(
            from < sizes.length ? `id${sizes.length}` : undefined,
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('forgets what lies before a gap, and what belongs to another epoch', () => {
    const log = new CommitLog<Uint8Array>();
    const append = (rev: number, epoch = 'e'): void =>
      log.append([change('k', rev, 1)], { epoch, rev, id: `id${rev}` });
    append(1);
    append(2);
    append(4);
    expect([1, 2, 3, 4].map((rev) => log.at(rev)?.end.rev)).toEqual([
      undefined,
      undefined,
      undefined,
      4,
    ]);
    append(5);
    append(6, 'other');
    expect([4, 5, 6].map((rev) => log.at(rev)?.end.rev)).toEqual([undefined, undefined, 6]);
    log.clear();
    expect(log.at(6)).toBeUndefined();
    expect(log.bytes).toBe(0);
  });

  it('goes on over many thousands of commits', () => {
    const log = new CommitLog<Uint8Array>(10_000);
    for (let rev = 1; rev <= 20_000; rev++)
      log.append([change('k', rev, 10)], { epoch: 'e', rev, id: `id${rev}` });
    expect(log.at(20_000)?.end.id).toBe('id20000');
    expect(log.at(19_990)?.changes[0]).toMatchObject({ rev: 19_990 });
    expect(log.at(15_000)).toBeUndefined();
  });
});
