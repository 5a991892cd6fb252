import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldRecords } from './held-records.ts';

describe('the records that a journal holds', () => {
  it('are spent in any order when every write was replaced', () => {
    const held = new HeldRecords();
    held.add(1, 1, [], 10);
    held.add(2, 1, [], 10);
    held.add(3, 1, [], 10);
    held.replace(2);
    expect(held.takeSpent()).toEqual([2]);
    held.forget([2]);
    expect(held.bytes).toBe(20);
  });

  it('are kept for as long as an older one is, when they have been the newest of a key', () => {
    const held = new HeldRecords();
    held.add(1, 1, [], 10);
    held.add(2, 1, [], 10);
    held.settle(2, 'c');
    expect([held.hasSpent, held.takeSpent()]).toEqual([false, []]);
    expect(held.hasSettled('c')).toBe(true);
    held.settle(1, 'd');
    expect(held.takeSpent()).toEqual([1, 2]);
    held.forget([1, 2]);
    expect([held.hasSettled('c'), held.hasSettled('d'), held.bytes]).toEqual([false, false, 0]);
  });

  it('are dropped one time after the other', () => {
    const held = new HeldRecords();
    held.add(1, 1, [], 10);
    held.add(2, 1, [], 10);
    held.settle(1, 'c');
    const spent = held.takeSpent();
    held.settle(2, 'c');
    expect([held.hasSpent, held.takeSpent()]).toEqual([false, []]);
    held.giveBack(spent);
    expect(held.takeSpent()).toEqual([1, 2]);
  });

  it('never leave an older write of a key as the newest, and remember nothing in the end', () => {
    const keys = ['a', 'b', 'c', 'd'];
    const step = fc.record({
      kind: fc.constantFrom('add', 'add', 'settle', 'settle', 'drop', 'fail'),
      keys: fc.uniqueArray(fc.constantFrom(...keys), { minLength: 1 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const held = new HeldRecords();
        const journal = new Map<number, readonly string[]>();
        const pending = new Map<string, number>();
        const newest = new Map<string, number>();
        let rev = 0;
        const drop = (): void => {
          const revs = held.takeSpent();
          for (const one of revs) journal.delete(one);
          held.forget(revs);
        };
        const settle = (key: string): void => {
          const of = pending.get(key);
          if (of === undefined) return;
          pending.delete(key);
          held.settle(of, key);
        };
        for (const one of steps) {
          if (one.kind === 'drop') drop();
          else if (one.kind === 'fail') held.giveBack(held.takeSpent());
          else if (one.kind === 'settle') one.keys.forEach(settle);
          else {
            journal.set(++rev, one.keys);
            held.add(rev, one.keys.length, [], 1);
            for (const key of one.keys) {
              const former = pending.get(key);
              if (former !== undefined) held.replace(former);
              pending.set(key, rev);
              newest.set(key, rev);
            }
          }
          for (const key of keys) {
            const left = [...journal].filter(([, its]) => its.includes(key)).map(([seq]) => seq);
            if (left.length > 0) expect(left.at(-1)).toBe(newest.get(key));
            if (!pending.has(key)) expect(held.hasSettled(key)).toBe(left.length > 0);
          }
          expect(held.bytes).toBe(journal.size);
        }
        keys.forEach(settle);
        drop();
        expect([journal.size, held.bytes]).toEqual([0, 0]);
        expect(keys.filter((key) => held.hasSettled(key))).toEqual([]);
      }),
    );
  });
});
