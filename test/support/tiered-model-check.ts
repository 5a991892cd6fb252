/**
 * Random runs of everything that can be done to a tiered store with a pair of policies, beside a
 * model that allows exactly what the documentation promises: readers and writers at once, parts that
 * fail, hang and answer late, writes of others in the back, time, closings and crashes.
 */
import * as fc from 'fast-check';
import type { Rules } from './tiered-model.ts';
import { commands, setups } from './tiered-model-commands.ts';
import { TieredModelRun } from './tiered-model-run.ts';

/** Of up to 100 commands, for each pair of policies. */
export const MODEL_RUNS = 2_000;

/** Bound of a test of so many runs, in ms; they take a tenth of it on an idle machine. */
export const MODEL_MS = 240_000;

/** Errors: the first run that the model does not allow, shrunk. */
export async function checkModel(policies: Pick<Rules, 'write' | 'read'>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), setups, commands, async (s, setup, steps) => {
      const run = new TieredModelRun(policies, setup, s);
      for (const step of steps) await run.do(step);
      await run.end();
    }),
    { numRuns: MODEL_RUNS },
  );
}
