import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Keyed, KeyOrder } from './key-order.ts';

interface Work extends Keyed {
  readonly name: number;
}

/** A step: new work on some keys, sending what may go, or an answer, of the oldest or the newest sent. */
type Step =
  | { readonly what: 'add'; readonly keys: readonly (readonly [string, boolean])[] }
  | { readonly what: 'take'; readonly most: number }
  | { readonly what: 'done' | 'again'; readonly newest: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    what: fc.constant('add' as const),
    keys: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 2 }),
  }),
  fc.record({ what: fc.constant('take' as const), most: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ what: fc.constantFrom('done' as const, 'again' as const), newest: fc.boolean() }),
);

const conflict = (a: Keyed, b: Keyed): boolean =>
  [...a.uses].some(([key, writes]) => {
    const other = b.uses.get(key);
    return other !== undefined && (writes || other);
  });

it('lets what shares keys run in the order of the calls, and nothing wait for ever', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const order = new KeyOrder<Work>();
      const all: Work[] = [];
      const ran: Work[] = [];
      const sent: Work[][] = [];
      const take = (most: number): void => {
        for (const part of order.take((taken) => taken.length < most)) {
          for (const work of part)
            for (const other of sent.flat()) expect(conflict(work, other)).toBe(false);
          expect(part.length).toBeLessThanOrEqual(most);
          sent.push(part);
        }
      };
      const end = (newest: boolean, runs: boolean): void => {
        const part = newest ? sent.pop() : sent.shift();
        if (part === undefined) return;
        if (!runs) order.putBack(part);
        else {
          for (const work of part) order.release(work);
          ran.push(...part);
        }
      };
      for (const one of steps) {
        if (one.what === 'take') take(one.most);
        else if (one.what === 'add') {
          const work = { name: all.length, order: all.length, uses: new Map(one.keys) };
          all.push(work);
          order.add(work);
        } else end(one.newest, one.what === 'done');
      }
      for (let left = 0; left < 200 && ran.length < all.length; left++) {
        take(3);
        end(false, true);
      }
      expect(ran).toHaveLength(all.length);
      expect(order.waiting).toBe(0);
      for (const [at, work] of ran.entries())
        for (const later of ran.slice(at + 1))
          if (conflict(work, later)) expect(work.order).toBeLessThan(later.order);
    }),
    { numRuns: 500 },
  );
});
