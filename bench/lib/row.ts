/** One figure of a run: a row of the table, an object of `--json`. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is compared with, measured in the same run … */
  readonly against?: string;
  /** … and what that one reached, in the same unit. */
  readonly reference?: number;
  /** Above 1 is better than the reference, whatever the unit: the median of the rounds' ratios. */
  readonly ratio?: number;
  readonly goal?: Goal;
  /** Set where the rows of a suite form a table: one line for each name. */
  readonly column?: string;
}

/** What the ratio or the value should reach. */
export interface Goal {
  readonly of: 'ratio' | 'value';
  readonly least?: number;
  readonly most?: number;
}

/** Whether a row reached its goal; `undefined` where it has none. */
export function reached({ goal, ratio, value }: Row): boolean | undefined {
  if (goal === undefined) return undefined;
  const measured = goal.of === 'ratio' ? (ratio ?? Number.NaN) : value;
  return measured >= (goal.least ?? -Infinity) && measured <= (goal.most ?? Infinity);
}

/** A group of figures measured in one process. */
export interface Suite {
  readonly name: string;
  readonly about: string;
  /** Takes minutes: runs only when it is named. */
  readonly alone?: true;
  run(report: Report): Promise<void>;
}

export type Report = (row: Row) => void;

/** A suite cannot run here, for a reason that is no fault of what it measures. */
export class NotHere extends Error {}
