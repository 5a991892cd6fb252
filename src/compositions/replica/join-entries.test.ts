/** The union of several stores: exact in order and content, and never shorter for the failure of one. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../../store/entry.ts';
import { compareKeys } from '../../store/keys.ts';
import { joinEntries } from './join-entries.ts';

const entry = (key: string, at: number): Entry<number> => ({
  key,
  value: at,
  version: `${key}.${at}`,
  modifiedAt: 0,
});

async function* pages(
  entries: readonly Entry<number>[],
  size: number,
): AsyncGenerator<readonly Entry<number>[]> {
  for (let at = 0; at < entries.length; at += size) yield entries.slice(at, at + size);
}

test('gives each key once, in order, with what every store has of it', {
  timeout: 60_000,
}, async () => {
  const keys = fc.uniqueArray(fc.stringMatching(/^[a-d\u{e000}\u{1f600}]{1,3}$/u), {
    maxLength: 12,
  });
  const stores = fc.array(fc.record({ keys, size: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(stores, async (all) => {
      const held = all.map((one, at) =>
        one.keys.sort(compareKeys).map((key): Entry<number> => entry(key, at)),
      );
      const joined = (
        await Array.fromAsync(
          joinEntries(held.map((entries, at) => pages(entries, all[at]?.size ?? 1))),
        )
      ).flat();
      const union = [...new Set(held.flat().map(({ key }) => key))].sort(compareKeys);
      expect(joined.map(({ key }) => key)).toEqual(union);
      for (const { key, found } of joined)
        expect(found).toEqual(held.map((entries) => entries.find((one) => one.key === key)));
    }),
    { numRuns: 10_000 },
  );
});

test('fails when one of the stores does', async () => {
  async function* failing(): AsyncGenerator<readonly Entry<number>[]> {
    yield [entry('a', 1)];
    throw new Error('gone');
  }
  const joining = Array.fromAsync(
    joinEntries([pages([entry('a', 0), entry('b', 0)], 1), failing()]),
  );
  await expect(joining).rejects.toThrow('gone');
});
