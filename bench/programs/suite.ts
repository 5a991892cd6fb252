/** Runs one suite in a process of its own: what one leaves behind does not slow the next. */
import { answerCalls } from '../lib/child.ts';
import { NotHere, type Row } from '../lib/row.ts';
import { suites } from '../suites/index.ts';

const calls = {
  async run(name: string): Promise<{ readonly rows: Row[]; readonly missing?: string }> {
    const rows: Row[] = [];
    try {
      await suites.find((suite) => suite.name === name)?.run((row) => rows.push(row));
      return { rows };
    } catch (error) {
      if (error instanceof NotHere) return { rows, missing: error.message };
      throw error;
    }
  },
};

export type SuiteCalls = typeof calls;
answerCalls(calls);
