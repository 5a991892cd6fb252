import * as is from '../store/option-rules.ts';
import { checkOptions } from '../store/options.ts';
import type { Store } from '../store/store.ts';
import { ConformanceError } from './assert.ts';
import { type StoreFactory, within } from './conformance/case.ts';
import { checkFactory, FACTORY_RULE } from './conformance/factory.ts';
import { World } from './conformance/world.ts';
import { type Command, commandsOf, type FastCheck, showCommand } from './model/commands.ts';
import { ModelRun } from './model/run.ts';
import { declareGroups, RUNNER_RULE, type TestRunner } from './runner.ts';
import { fittingValues, type SampleValues } from './values.ts';

/** What `modelTest` runs, how often, and on what. */
export interface ModelTestOptions<V> {
  /** The module npm `fast-check`. */
  readonly fc: FastCheck;
  /** The runner, as for `conformance`. */
  readonly test: TestRunner;
  /** Makes the stores; with `reopen` and `second` these become commands too, with `env` time passes. */
  readonly factory: StoreFactory<V> | (() => Store<V> | Promise<Store<V>>);
  /** Stands before the name of the case. */
  readonly name?: string;
  /** Random runs; default 100. */
  readonly runs?: number;
  /** Most commands in a run; default 40. */
  readonly maxCommands?: number;
  /** Ends the runs, or the shrinking of a failure, after so long; default 15,000. */
  readonly timeLimitMs?: number;
  /** The stores remember few deletes: a reader may be told `cursor-expired` and begin anew; default false. */
  readonly forgetful?: boolean;
  /** Makes the runs repeatable; default random, and told on a failure. */
  readonly seed?: number;
}

/** Far more than a command takes: one that hangs is a failure, and not the end of all runs. */
const COMMAND_MS = 5_000;

const RULES = {
  fc: is.object,
  test: RUNNER_RULE,
  factory: FACTORY_RULE,
  name: is.text,
  runs: is.positive,
  maxCommands: is.positive,
  timeLimitMs: is.durationMs,
  forgetful: is.boolean,
  seed: { expected: 'a number', accepts: (seed: unknown) => typeof seed === 'number' },
};

/**
 * Declares one case: random runs of writes, reads, time, reopenings and watches, on a store and on
 * a plain map side by side. They must agree after every command, and a copy that follows the feed
 * must be at each commit exactly what the store was there. A failure is shrunk to the commands
 * that matter.
 */
export function modelTest<V>(options: ModelTestOptions<V>): void {
  checkOptions('modelTest', options, RULES, ['fc', 'test', 'factory']);
  const { fc, runs = 100, maxCommands = 40, timeLimitMs = 15_000, seed } = options;
  const factory = checkFactory('modelTest', options.factory);
  let values: SampleValues | undefined = factory.values;
  const run = async (commands: Command[]): Promise<void> => {
    const world = new World(factory);
    try {
      values ??= await fittingValues(await world.create());
      await runCommands(world, factory, values, commands, options.forgetful === true);
    } finally {
      await world.end();
    }
  };
  const property = fc.asyncProperty(commandsOf(fc, maxCommands), run);
  declareGroups(options.test)(options.name ?? 'model', (declare) => {
    declare('agrees with a plain map, whatever is done to it', async () => {
      await fc.assert(property, {
        numRuns: runs,
        // Cuts a long shrinking short, so that the failure is told before the runner gives up.
        interruptAfterTimeLimit: timeLimitMs,
        ...(seed !== undefined && { seed }),
      });
    });
  });
}

async function runCommands(
  world: World,
  factory: StoreFactory<unknown>,
  values: SampleValues,
  commands: readonly Command[],
  forgetful: boolean,
): Promise<void> {
  const store = await world.create();
  const t = world.context(store, values);
  const handles = [store];
  if (factory.second !== undefined) handles.push(await t.second(store));
  const run = new ModelRun(t, handles, { reopens: factory.reopen !== undefined, forgetful });
  const done: string[] = [];
  try {
    await run.begin();
    for (const command of commands) {
      done.push(showCommand(command));
      await within(COMMAND_MS, run.do(command), 'a command that does not end');
    }
    done.push('the end');
    await within(COMMAND_MS, run.end(), 'a comparison that does not end');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConformanceError(`${why}\nafter:\n  ${done.join('\n  ')}`, done, undefined, cause);
  }
}
