/** Lists over members that hold different keys, or fail midway: exact in order and content, or an error. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { compareKeys } from '../../store/keys.ts';
import type { Range } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { replica } from './index.ts';

/** Random unions; more by `STRATAKV_UNIONS`. */
const RUNS = Number(process.env.STRATAKV_UNIONS ?? 500);

const key = fc.stringMatching(/^[a-c\u{e000}\u{1f600}]{1,2}$/u);
const keys = fc.uniqueArray(key, { maxLength: 20 });
const bounds = fc.record(
  {
    gt: key,
    gte: key,
    lt: key,
    lte: key,
    prefix: fc.constantFrom('a', '\u{1f600}'),
    reverse: fc.boolean(),
    limit: fc.nat(12),
  },
  { requiredKeys: [] },
);

/** What a list of sorted keys must give. */
function listed(sorted: readonly string[], range: Range): string[] {
  const { gt, gte, lt, lte, prefix = '', reverse, limit } = range;
  const found = sorted.filter(
    (one) =>
      one.startsWith(prefix) &&
      (gt === undefined || compareKeys(one, gt) > 0) &&
      (gte === undefined || compareKeys(one, gte) >= 0) &&
      (lt === undefined || compareKeys(one, lt) < 0) &&
      (lte === undefined || compareKeys(one, lte) <= 0),
  );
  if (reverse === true) found.reverse();
  return found.slice(0, limit);
}

test('give the union of what members held when a replica was made of them', {
  timeout: 120_000,
}, async () => {
  const env = simulatedEnv();
  const unions = fc.array(keys, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(unions, bounds, async (all, range) => {
      const members = all.map(() => memory<string>({ env }));
      const expected = new Map<string, string>();
      for (const [at, held] of all.entries())
        for (const name of held) {
          await members[at]?.set(name, `${at}`);
          // Where two differ, the first counts.
          if (!expected.has(name)) expected.set(name, `${at}`);
        }
      const store = replica<string>({ sync: members });
      const names = listed([...expected.keys()].sort(compareKeys), range);
      expect(await Array.fromAsync(store.keys(range))).toEqual(names);
      const entries = await Array.fromAsync(store.list(range));
      expect(entries.map(({ key: name }) => name)).toEqual(names);
      for (const { key: name, value } of entries)
        if (all[0]?.includes(name)) expect(value).toBe('0');
        else expect(all[Number(value)]).toContain(name);
      await store.close({ drainMs: 0 });
    }),
    { numRuns: RUNS },
  );
});

test('go on with another member where one fails, and are never cut short', {
  timeout: 120_000,
}, async () => {
  const env = simulatedEnv();
  const names = Array.from({ length: 700 }, (_, n) => `k${n}`).sort(compareKeys);
  const plans = [new FaultPlan(), new FaultPlan(), new FaultPlan()];
  const sync = plans.map((plan): Store<string> => faulty(memory<string>({ env }), plan));
  const store = replica<string>({ sync });
  await store.setMany(names.map((name) => [name, name] as const));
  await store.flush();
  const failures = fc.array(
    fc.record({ member: fc.nat(2), after: fc.nat(3), times: fc.constantFrom(1, 9) }),
    {
      maxLength: 3,
    },
  );
  const ranges = fc.record(
    {
      gt: fc.constantFrom(...names),
      lte: fc.constantFrom(...names),
      reverse: fc.boolean(),
      limit: fc.nat(700),
    },
    { requiredKeys: [] },
  );
  let cut = 0;
  await fc.assert(
    fc.asyncProperty(failures, ranges, async (all, range) => {
      for (const { member, after, times } of all)
        plans[member]?.failNext('scan', 'unavailable', { after, times });
      const given: string[] = [];
      let failed: unknown;
      try {
        for await (const { key: name, value } of store.list(range)) {
          expect(value).toBe(name);
          given.push(name);
        }
      } catch (error) {
        failed = error;
      }
      const expected = listed(names, range);
      if (failed === undefined) expect(given).toEqual(expected);
      else {
        cut++;
        expect(failed).toMatchObject({ code: 'unavailable' });
        expect(new Set(all.map(({ member }) => member)).size).toBe(3);
        expect(given).toEqual(expected.slice(0, given.length));
      }
      for (const plan of plans) plan.heal();
    }),
    { numRuns: RUNS },
  );
  expect(cut).toBeGreaterThan(0);
  await store.close();
});
