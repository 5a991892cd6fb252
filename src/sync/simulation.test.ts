import { describe, expect, it } from 'vitest';
import { checkSeed } from '../../test/support/simulated-runs.ts';
import { newTally } from '../../test/support/sync-simulation.ts';

const { STRATAKV_SEED, STRATAKV_WORLD, STRATAKV_WORLDS } = process.env;
/** Worlds of each sort. */
const COUNT = Number(STRATAKV_WORLDS ?? 500);
const LIMIT_MS = 300_000;
/** Fresh in every run that asks for them, else the same. */
const FRESH = STRATAKV_SEED === 'random' ? (Date.now() % 2 ** 31) + 1_000 : 1_000_000;

async function checkWorlds(first: number): Promise<void> {
  const tally = newTally();
  for (let i = 0; i < COUNT; i++) await checkSeed(first + i, tally);
  // Nothing is shown by worlds in which nothing happens.
  if (COUNT >= 100)
    for (const [what, count] of Object.entries(tally))
      expect([what, count > 0]).toEqual([what, true]);
}

describe('a simulated world of writers, a hub and its subscribers', () => {
  if (STRATAKV_WORLD !== undefined)
    it(`of seed ${STRATAKV_WORLD} shows only true states, and converges once it heals`, () =>
      checkSeed(Number(STRATAKV_WORLD)));
  else
    it.each([
      ['known', 0],
      ['fresh', FRESH],
    ])(
      'shows only true states, and converges once it heals: %s seeds',
      (_, first) => checkWorlds(first),
      LIMIT_MS,
    );
});
