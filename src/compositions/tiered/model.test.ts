/**
 * Random runs of everything that can be done to a tiered store, with pairs of policies, beside
 * a model that allows exactly what the documentation promises: readers and writers at once, parts
 * that fail, hang and answer late, writes of others in the back, time, closings and crashes.
 */
import * as fc from 'fast-check';
import { beforeAll, describe, it } from 'vitest';
import { commands, setups } from '../../../test/support/tiered-model-commands.ts';
import { TieredModelRun } from '../../../test/support/tiered-model-run.ts';
import { loadBehind } from './late-behind.ts';

// Loading takes real time, which simulated time does not wait for.
beforeAll(async () => {
  await loadBehind();
});

const RUNS = 2_000;
/** The same runs each time; another seed by STRATAKV_SEED, or `random`. */
const SEED = process.env.STRATAKV_SEED ?? '1';

describe('agrees with a plain map of what may be read', () => {
  for (const write of ['through', 'around', 'front-only'] as const)
    for (const read of ['front-first', 'front-only'] as const) {
      if (write === 'through' && read === 'front-only') continue;
      it(`write ${write}, read ${read}`, { timeout: 120_000 }, async () => {
        await fc.assert(
          fc.asyncProperty(fc.scheduler(), setups, commands, async (s, setup, steps) => {
            const run = new TieredModelRun({ write, read }, setup, s);
            for (const step of steps) await run.do(step);
            await run.end();
          }),
          {
            numRuns: RUNS,
            ...(SEED !== 'random' && { seed: Number(SEED) }),
            interruptAfterTimeLimit: 60_000,
          },
        );
      });
    }
});
