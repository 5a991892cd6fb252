/** The model of replicas would notice: with a bug planted, it finds a run that goes wrong. */
import { afterEach, expect, test, vi } from 'vitest';
import type { ReplicaCommand, ReplicaSetup } from '../../../test/support/replica-commands.ts';
import { ReplicaModel } from '../../../test/support/replica-model.ts';
import { Fences } from './fences.ts';
import { Intents } from './intents.ts';
import { Lane } from './lane.ts';

const SETUPS: readonly ReplicaSetup[] = [
  { sync: 3, async: 1, options: { write: 2 } },
  { sync: 3, async: 1, options: { write: 'all' } },
];
const MOST_RUNS = 150;

/** Numbers below a bound, the same for a seed. */
function numbers(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b9);
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Members that are slow, fail and return, beside calls. */
function commandsOf(seed: number): ReplicaCommand[] {
  const next = numbers(seed);
  const key = (): number => next(3);
  const member = (): number => next(4);
  const commands: (() => ReplicaCommand)[] = [
    () => ({ do: 'set', key: key() }),
    () => ({ do: 'set', key: key() }),
    () => ({ do: 'delete', key: key() }),
    () => ({ do: 'get', key: key() }),
    () => ({ do: 'get', key: key() }),
    () => ({ do: 'getMany' }),
    () => ({ do: 'list' }),
    () => ({ do: 'repair' }),
    () => ({ do: 'pass', ms: [1, 3, 20, 300][next(4)] as number }),
    () => ({ do: 'pass', ms: 4_000 }),
    () => ({ do: 'delay', member: member(), ms: [0, 5, 60, 400][next(4)] as number }),
    () => ({ do: 'fail', member: member(), operation: 'commit', times: 1 + next(3) }),
    () => ({ do: 'hang', member: member(), operation: 'commit', times: 1 }),
    () => ({ do: 'lose-answer', member: next(2), operation: 'commit', times: 1 }),
    () => ({ do: 'heal', member: member() }),
    () => ({ do: 'reopen', wiped: undefined }),
    () => ({ do: 'crash', wiped: [undefined, 0][next(2)] }),
  ];
  return Array.from({ length: 60 }, () =>
    (commands[next(commands.length)] as () => ReplicaCommand)(),
  );
}

/** The first seed whose run goes wrong, and how. */
async function firstProblem(): Promise<string | undefined> {
  for (let seed = 0; seed < MOST_RUNS; seed++)
    try {
      await new ReplicaModel(SETUPS[seed % 2] as ReplicaSetup).run(commandsOf(seed));
    } catch (error) {
      return `${seed}: ${error instanceof Error ? error.message : String(error)}`;
    }
  return undefined;
}

const bugs: Record<string, () => unknown> = {
  'members are asked for what they lack': () =>
    vi.spyOn(Fences.prototype, 'knows').mockReturnValue(true),
  'what members are about to lack is not noted': () =>
    vi.spyOn(Fences.prototype, 'raise').mockReturnValue(undefined),
  'writes of unknown outcome are taken for refused': () =>
    vi.spyOn(Lane.prototype, 'doubt').mockReturnValue(undefined),
  'intents that were never sent count': () =>
    vi
      .spyOn(Intents.prototype, 'put')
      .mockImplementation(
        (writes) =>
          ({ keys: writes.map(({ key }) => key), slots: [], kept: Promise.resolve(true) }) as never,
      ),
  'repairs and returning members change nothing': () =>
    vi.spyOn(Lane.prototype, 'alone').mockResolvedValue({} as never),
};

afterEach(() => {
  vi.restoreAllMocks();
});

test('nothing is found without one', { timeout: 120_000 }, async () => {
  expect(await firstProblem()).toBeUndefined();
});

test.each(Object.entries(bugs))('is found: %s', { timeout: 120_000 }, async (_, plant) => {
  plant();
  expect(await firstProblem()).toMatch(/k\d|member|behind|ended/);
});
