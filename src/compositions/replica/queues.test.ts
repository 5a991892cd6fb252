/** What waits for a member: nothing is lost or passed over, and what is held is counted. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change } from '../../store/entry.ts';
import { type ChangeQueue, CommitQueue, NewestQueue, type StampedCommit } from './queues.ts';

const commit = (rev: number, keys: readonly string[]): StampedCommit<number> => ({
  rev,
  changes: new Map(
    keys.map((key): [string, Change<number>] => [
      key,
      { type: 'set', key, value: rev, version: String(rev), rev, modifiedAt: 0 },
    ]),
  ),
  bytes: new Set(keys).size * 10,
});

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }) },
    { weight: 2, arbitrary: fc.constantFrom('take' as const, 'done' as const) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
  ),
  { maxLength: 40, size: 'max' },
);

describe.each([
  ['the newest of each key', () => new NewestQueue<number>()],
  ['every commit', () => new CommitQueue<number>()],
])('%s', (_, make) => {
  test('comes in order, once, in the turn that it was given', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const queue: ChangeQueue<number> = make();
        const applied = new Map<string, number>();
        let waiting: { turn: number; rev: number; keys: readonly string[] }[] = [];
        let out: { turn: number } | undefined;
        for (const [at, step] of list.entries()) {
          if (step === 'clear') {
            queue.clear();
            waiting = [];
            out = undefined;
          } else if (step === 'take' && out === undefined) {
            const window = queue.take();
            expect(window === undefined).toBe(waiting.length === 0);
            if (window === undefined) continue;
            out = window;
            for (const { key, rev = 0 } of window.changes) {
              expect(rev).toBeGreaterThan(applied.get(key) ?? 0);
              applied.set(key, rev);
            }
          } else if (step === 'done' && out !== undefined) {
            queue.done();
            for (const { turn, rev, keys } of waiting)
              if (turn <= out.turn)
                for (const key of keys) expect(applied.get(key)).toBeGreaterThanOrEqual(rev);
            waiting = waiting.filter(({ turn }) => turn > (out?.turn ?? 0));
            out = undefined;
          } else if (Array.isArray(step)) {
            const rev = at + 1;
            waiting.push({ turn: queue.put(commit(rev, step)), rev, keys: step });
          }
          if (waiting.length === 0) expect([queue.size, Math.round(queue.bytes)]).toEqual([0, 0]);
          else expect(Math.round(queue.bytes)).toBe(queue.size * 10);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
