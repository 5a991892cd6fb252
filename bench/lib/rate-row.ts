import type { Comparison } from './measure.ts';
import type { Row } from './row.ts';

/** The row that tells how one contender fared against another. */
export function rateRow(
  result: Comparison,
  {
    own,
    against,
    least,
    ...named
  }: {
    readonly name: string;
    readonly unit: string;
    readonly own: string;
    readonly against: string;
    /** What the ratio should reach. */
    readonly least: number;
  },
): Row {
  return {
    ...named,
    value: result.rate(own),
    against,
    reference: result.rate(against),
    ratio: result.ratio(own, against),
    goal: { of: 'ratio', least },
  };
}
