/** One figure: `value` in `unit`; `ratio` compares it with `reference`, measured in the same run. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is compared with, and that one's value. */
  readonly reference?: string;
  /** Above 1 is better than the reference, whatever the unit. */
  readonly ratio?: number;
  /** What the ratio, or the value where there is no reference, should reach. */
  readonly goal?: Goal;
}

export interface Goal {
  readonly of: 'ratio' | 'value';
  readonly least?: number;
  readonly most?: number;
}

export function reached(row: Row): boolean | undefined {
  if (row.goal === undefined) return undefined;
  const measured = row.goal.of === 'ratio' ? row.ratio : row.value;
  if (measured === undefined) return undefined;
  return measured >= (row.goal.least ?? -Infinity) && measured <= (row.goal.most ?? Infinity);
}

/** A group of figures measured in one run. */
export interface Suite {
  readonly name: string;
  readonly about: string;
  run(report: (row: Row) => void): Promise<void>;
}
