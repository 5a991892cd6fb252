import type { Comparison } from '../measure.ts';
import type { Goal, Report } from '../row.ts';
import type { Entrant } from './field.ts';

const OWN = 'stratakv';
const BARE = 'bare ws frames';

interface Titles {
  readonly title: string;
  readonly unit: string;
  /** How much each had to do, by its share. */
  readonly about: (share: number) => string;
  readonly goals: Partial<Record<string, Goal>>;
}

/** Ours beside bare frames, everyone else beside ours. */
export function reportAll(
  result: Comparison,
  entrants: readonly Entrant[],
  report: Report,
  { title, unit, about, goals }: Titles,
): void {
  for (const { name, share = 1 } of entrants) {
    const against = name === OWN ? BARE : OWN;
    const goal = goals[name];
    report({
      name: `${title}, ${about(share)}: ${name}`,
      value: result.rate(name),
      unit,
      ...(name !== BARE && {
        against,
        reference: result.rate(against),
        ratio: result.ratio(name, against),
      }),
      ...(goal !== undefined && { goal }),
    });
  }
}
