import { type Contender, compare } from '../measure.ts';
import type { Goal, Report } from '../row.ts';
import type { Entrant, Field } from './field.ts';
import { reportAll } from './report.ts';

interface FanOut {
  readonly subscribers: number;
  readonly entrants: readonly Entrant[];
  /** How many keys are written, by the share of an entrant. */
  readonly keysOf: (share: number) => number;
  readonly bytes: number;
  readonly rounds: number;
  readonly goal: Goal;
}

/** Every key is written by a call of its own, until the last copy has the last of them. */
export async function fanOut(
  field: Field,
  { subscribers, entrants, keysOf, bytes, rounds, goal }: FanOut,
  report: Report,
): Promise<void> {
  await using all = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  for (const { name, share = 1 } of field.here(entrants)) {
    const keys = keysOf(share);
    const ends = await field.open(all, name, async (opened) => {
      await opened.source.call('fill', keys, 0, bytes);
      await opened.connect(subscribers, { keys, bytes, version: 0 });
    });
    if (ends === undefined) continue;
    const spread = async (version: number): Promise<number> => {
      await ends.settle();
      const tookMs = await ends.spread(keys, version, bytes);
      await ends.all((one) => one.call('verify', { keys, bytes, version }));
      return tookMs;
    };
    contenders.push({
      name,
      operations: keys * subscribers,
      run: async (round) => (await field.try(name, () => spread(round + 1))) ?? Number.NaN,
    });
  }
  const result = await compare(contenders, rounds);
  reportAll(result, field.still(entrants), report, {
    title: `updates to ${subscribers.toLocaleString('en')} subscribers`,
    unit: 'deliveries/s',
    about: (share) => `${keysOf(share).toLocaleString('en')} keys of ${bytes} B`,
    goals: { stratakv: goal },
  });
}
