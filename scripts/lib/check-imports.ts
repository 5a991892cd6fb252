import type { Outcome } from './outcome.ts';
import { runProgram } from './run-program.ts';

/** The part that is read here of dependency-cruiser's JSON report. */
interface CruiseReport {
  readonly summary: {
    readonly totalCruised: number;
    readonly totalDependenciesCruised: number;
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
      readonly cycle?: readonly { readonly name: string }[];
    }[];
  };
}

/**
 * Checks the import rule. dependency-cruiser exits with 0 when it could read no module at all, so the
 * number of modules is looked at too.
 */
export async function checkImports(): Promise<Outcome> {
  const done = await runProgram('depcruise', [
    'src',
    '--config',
    '.dependency-cruiser.mjs',
    '--output-type',
    'json',
  ]);
  if (done.stdout === '') return { ok: false, reason: done.output };
  const { summary } = JSON.parse(done.stdout) as CruiseReport;
  if (summary.totalCruised === 0) return { ok: false, reason: 'no module was read' };
  if (summary.violations.length > 0) {
    const lines = summary.violations.map(({ rule, from, to, cycle }) => {
      const path = cycle === undefined ? to : cycle.map(({ name }) => name).join(' -> ');
      return `${rule.name}: ${from} -> ${path}`;
    });
    return { ok: false, reason: lines.join('\n') };
  }
  return { ok: true, note: `${summary.totalCruised} modules` };
}
