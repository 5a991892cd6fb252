/** Random calls, faults, losses and reopenings, held against what callers were told. */
import * as fc from 'fast-check';
import { describe, test } from 'vitest';
import type { ReplicaCommand, ReplicaSetup } from '../../../test/support/replica-commands.ts';
import { ReplicaModel } from '../../../test/support/replica-model.ts';

/** Of each setup; more by `STRATAKV_RUNS`. */
const RUNS = Number(process.env.STRATAKV_RUNS ?? 150);

const key = fc.nat(2);
const member = fc.nat(3);
const calls = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('set' as const), key }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('get' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('update' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('list', 'getMany', 'repair', 'flush') }),
  },
);
const times = fc.constantFrom(1, 1, 2, 20);
const faults = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('fail', 'hang'),
      member,
      operation: fc.constantFrom('commit', 'read', 'scan', 'feed'),
      times,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('lose-answer', 'hold-answer'),
      member: fc.constantFrom(0, 0, 1, 2),
      operation: fc.constant('commit' as const),
      times: fc.constant(1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('delay' as const),
      member,
      ms: fc.constantFrom(0, 2, 5, 8, 60, 400),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('heal', 'release'), member }) },
);
const commands = (wipes: boolean): fc.Arbitrary<ReplicaCommand[]> =>
  fc.array(
    fc.oneof(
      { weight: 12, arbitrary: calls },
      { weight: 4, arbitrary: faults },
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('pass' as const),
          ms: fc.constantFrom(0, 1, 2, 4, 20, 300, 4_000),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constantFrom('reopen', 'crash'),
          wiped: wipes ? fc.option(member, { nil: undefined }) : fc.constant(undefined),
        }),
      },
    ),
    { maxLength: 80, size: 'max' },
  ) as fc.Arbitrary<ReplicaCommand[]>;

const setups: Record<string, ReplicaSetup> = {
  'two of two': { sync: 2, async: 0, options: {} },
  'three of three, one behind': { sync: 3, async: 1, options: { queueLength: 3 } },
  'two of three': { sync: 3, async: 0, options: { write: 2 } },
  'one of three, hedged': {
    sync: 3,
    async: 1,
    options: { write: 1, read: 'hedged', maxFenced: 2 },
  },
  'every write behind': { sync: 1, async: 2, options: { everyWrite: true, queueLength: 2 } },
};

describe('a replica keeps what it told its callers', () => {
  test.each(Object.entries(setups))(
    '%s',
    async (_, setup) => {
      // A lag of members that is not made up for may lose what only the first store had.
      const wipes = setup.options.write === undefined;
      await fc.assert(
        fc.asyncProperty(commands(wipes), (list) => new ReplicaModel(setup).run(list)),
        { numRuns: RUNS, interruptAfterTimeLimit: 15_000 * Math.max(1, RUNS / 150) },
      );
    },
    600_000,
  );
});
