import { describe, expect, test } from 'vitest';
import {
  type DedupeModelOptions,
  type DedupeStep,
  DedupeWorld,
} from '../../../test/support/dedupe-model.ts';

const kinds: Readonly<Record<string, DedupeModelOptions>> = {
  'as it comes': { trackSeen: true, cancelUnseen: true },
  'in front of a store that holds more': {
    trackSeen: true,
    cancelUnseen: false,
    before: ['a', 'b'],
  },
  'without memory of what the sink saw': { trackSeen: false, cancelUnseen: false, before: ['b'] },
};

const steps: readonly DedupeStep[] = [
  { do: 'put', key: 'a' },
  { do: 'put', key: 'b' },
  { do: 'delete', key: 'a' },
  { do: 'delete', key: 'b' },
  { do: 'resync' },
  { do: 'wait-for-datastore' },
  { do: 'in-sync' },
  { do: 'reconnect' },
  { do: 'take' },
  { do: 'fail' },
  { do: 'fail-applied' },
];

const wordOf = (step: DedupeStep): string => ('key' in step ? `${step.do} ${step.key}` : step.do);

/** Runs one sequence and then drains; whether its last step could change anything. */
function run(
  options: DedupeModelOptions,
  sequence: readonly DedupeStep[],
  drain: boolean,
): boolean {
  const world = new DedupeWorld(options);
  try {
    let changed = true;
    for (const step of sequence) changed = world.step(step);
    if (drain) world.drain();
    return changed;
  } catch (error) {
    throw new Error(`after ${sequence.map(wordOf).join(', ')}`, { cause: error });
  }
}

/** All sequences of a length, save those that are others with names exchanged or with a step that does nothing. */
function exhaust(options: DedupeModelOptions, depth: number): number {
  let ran = 0;
  const alike = options.before?.length !== 1;
  const walk = (sequence: DedupeStep[], usesA: boolean, usesResync: boolean): void => {
    for (const step of steps) {
      if (alike && !usesA && 'key' in step && step.key === 'b') continue;
      if (!usesResync && step.do === 'wait-for-datastore') continue;
      if (!options.trackSeen && step.do === 'reconnect') continue;
      sequence.push(step);
      const last = sequence.length === depth;
      const changed = run(options, sequence, last);
      ran++;
      if (changed && !last)
        walk(sequence, usesA || 'key' in step, usesResync || step.do === 'resync');
      sequence.pop();
    }
  };
  walk([], false, false);
  return ran;
}

describe.each(Object.entries(kinds))('a dedupe buffer %s', (_, options) => {
  test('keeps its promises in every sequence of six steps', () => {
    expect(exhaust(options, 6)).toBeGreaterThan(50_000);
  });
});
