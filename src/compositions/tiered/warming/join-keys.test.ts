import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareKeys } from '../../../store/keys.ts';
import { type Found, joinKeys, type NextPage } from './join-keys.ts';

const keys = fc
  .uniqueArray(fc.oneof(fc.constantFrom('\uffff', '\u{10000}', 'b'), fc.string({ minLength: 1 })), {
    maxLength: 40,
  })
  .map((all) => all.sort(compareKeys));

/** Pages of some length, as a store gives them. */
function paged(all: readonly string[], size: number): NextPage {
  let at = 0;
  return async () => {
    const page = all.slice(at, at + size);
    at += size;
    return page;
  };
}

it('gives every key of either side once, in order, whatever the pages', async () => {
  const size = fc.integer({ min: 1, max: 7 });
  await fc.assert(
    fc.asyncProperty(keys, keys, size, size, async (front, back, one, two) => {
      const found: Found[] = [];
      for await (const page of joinKeys(paged(front, one), paged(back, two))) found.push(...page);
      const expected = [...new Set([...front, ...back])]
        .sort(compareKeys)
        .map((key) => ({ key, inFront: front.includes(key), inBack: back.includes(key) }));
      expect(found).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});
