/** Worlds made of nothing but a seed, and the shortest way to what is wrong in one. */
import { simulatedEnv } from '../../src/testing/index.ts';
import { runWorld, type Step, type StepName } from './simulated-steps.ts';
import { KEYS, KINDS, type Kind } from './simulated-values.ts';
import { newTally, type Planted, type Tally } from './sync-simulation.ts';

const WEIGHTS: Readonly<Record<StepName, number>> = {
  set: 8,
  batch: 4,
  big: 2,
  delete: 4,
  clear: 2,
  cut: 3,
  hold: 3,
  release: 4,
  silent: 1,
  down: 1,
  up: 2,
  slow: 1,
  quick: 1,
  fail: 2,
  reopen: 2,
  crash: 1,
  crashAt: 2,
  write: 3,
  writes: 2,
  count: 3,
  pass: 8,
  wait: 1,
  epoch: 2,
  restart: 1,
  sourceFails: 1,
  sourceSlows: 3,
  sourceHangs: 1,
  sourceGoesOn: 2,
};
const NAMES = Object.entries(WEIGHTS).flatMap(([name, weight]) =>
  Array.from({ length: weight }, () => name as StepName),
);
const MAX_STEPS = 60;
/** So often a failing world is tried with less. */
const SHORTER_TRIES = 150;

/** What happens in the world of a seed. */
export function stepsOf(seed: number): Step[] {
  const env = simulatedEnv(seed ^ 0x5eed);
  const below = (limit: number): number => Math.floor(env.random() * limit);
  const some = (most: number): number[] =>
    Array.from({ length: below(most + 1) }, () => below(KEYS));
  return Array.from({ length: 5 + below(MAX_STEPS - 5) }, () => ({
    do: NAMES[below(NAMES.length)] as StepName,
    who: below(4),
    keys: [below(KEYS), ...some(6)],
    links: some(5),
    ms: below(300),
    odd: below(2) === 1,
  }));
}

export const kindOf = (seed: number): Kind => KINDS[seed % KINDS.length] as Kind;

/** Runs the world of a seed; gives what was wrong. */
export function runSeed(
  seed: number,
  planted: Planted = {},
  tally: Tally = newTally(),
): Promise<readonly string[]> {
  return runWorld(seed, kindOf(seed), stepsOf(seed), planted, tally);
}

/** As few steps as still go wrong, as found by leaving out one after the other. */
export async function shortened(seed: number, planted: Planted = {}): Promise<readonly Step[]> {
  let steps = stepsOf(seed);
  let tries = 0;
  for (let size = steps.length >> 1; size >= 1; size >>= 1)
    for (let at = 0; at < steps.length && tries < SHORTER_TRIES; ) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)];
      tries++;
      if ((await runWorld(seed, kindOf(seed), fewer, planted)).length > 0) steps = fewer;
      else at += size;
    }
  return steps;
}

/** Fails with what goes wrong in the world of a seed, and how to see it again. */
export async function checkSeed(seed: number, tally?: Tally): Promise<void> {
  const wrong = await runSeed(seed, {}, tally);
  if (wrong.length === 0) return;
  const steps = await shortened(seed);
  const [what = wrong[0]] = await runWorld(seed, kindOf(seed), steps);
  const lines = steps.map((step) => JSON.stringify(step)).join('\n  ');
  throw new Error(
    `the world of seed ${seed} (${kindOf(seed)}) goes wrong; STRATAKV_WORLD=${seed} runs it alone\n${what}\nafter\n  ${lines}`,
  );
}
