/** Runs one suite in a process of its own: what one leaves behind does not slow the next. */
import { answerCalls } from '../lib/child.ts';
import { NotHere, type Row } from '../lib/row.ts';
import { suites } from '../suites/index.ts';

interface Outcome {
  /** Those measured before it ended, however that was. */
  readonly rows: Row[];
  /** What could not be measured here, and why. */
  readonly missing?: string;
  readonly failure?: string;
}

const calls = {
  async run(name: string): Promise<Outcome> {
    const rows: Row[] = [];
    try {
      await suites.find((suite) => suite.name === name)?.run((row) => rows.push(row));
      return { rows };
    } catch (error) {
      if (error instanceof NotHere) return { rows, missing: error.message };
      return {
        rows,
        failure: error instanceof Error ? (error.stack ?? error.message) : `${error}`,
      };
    }
  },
};

export type SuiteCalls = typeof calls;
answerCalls(calls);
