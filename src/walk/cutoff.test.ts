import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../testing/index.ts';
import { cutoff } from './cutoff.ts';

const env = simulatedEnv();
const nowMs = env.now();
const state = { storeId: 's', head: { epoch: 'e', rev: 10, id: 'i' } };
const entry = (modifiedAt: number, rev?: number) => ({
  key: 'k',
  version: 'v',
  modifiedAt,
  ...(rev !== undefined && { rev }),
});

describe('cutoff', () => {
  it('goes by the time of writing, as told', () => {
    const byAge = cutoff({ olderThanMs: 100 }, env, state);
    expect(byAge(entry(nowMs - 100, 5))).toBe(false);
    expect(byAge(entry(nowMs - 99, 5))).toBe(true);
    const byTime = cutoff({ olderThan: nowMs - 100 }, env, state);
    expect(byTime(entry(nowMs - 101, 5))).toBe(false);
    expect(byTime(entry(nowMs - 100, 5))).toBe(true);
  });

  it('knows by its revision what was written since the beginning, whatever a clock says', () => {
    for (const options of [{ olderThanMs: 0 }, { olderThan: nowMs + 1_000 }]) {
      const isYoung = cutoff(options, env, state);
      expect(isYoung(entry(0, 11))).toBe(true);
      expect(isYoung(entry(nowMs, 10))).toBe(false);
    }
  });

  it('has only the clock where there are no revisions', () => {
    const isYoung = cutoff({ olderThan: nowMs + 1_000 }, env, undefined);
    expect(isYoung(entry(nowMs - 1))).toBe(false);
    expect(isYoung(entry(nowMs))).toBe(true);
  });

  it('goes by revisions alone where a cursor is given', () => {
    const isYoung = cutoff({ olderThan: 'e.5.x' as never }, env, state);
    expect(isYoung(entry(nowMs + 1_000, 5))).toBe(false);
    expect(isYoung(entry(0, 6))).toBe(true);
    expect(isYoung(entry(0))).toBe(true);
    expect(cutoff({ olderThan: 'e.z.x' as never }, env, state)(entry(0, 11))).toBe(true);
  });
});
