import type { OptionRule } from '../store/option-rules.ts';

/** Runs one case; the first thing that a runner passes to it may offer `skip`. Declares no parameters, which some runners take for a callback. */
export type CaseFunction = (...context: unknown[]) => Promise<void>;

/** Declares one case: `test` or `it` of Vitest, Jest, Mocha, Bun, `node:test` … */
export type DeclareCase = (name: string, run: CaseFunction) => unknown;

/** A test runner: the function that declares a case, or an object with it and `describe`. */
export type TestRunner =
  | DeclareCase
  | {
      readonly describe?: (name: string, cases: () => void) => unknown;
      readonly it?: DeclareCase;
      readonly test?: DeclareCase;
    };

/** What the option `test` must be. */
export const RUNNER_RULE: OptionRule = {
  expected: 'a function that declares a case, or an object with it or test',
  accepts: (runner) =>
    typeof runner === 'function' ||
    ['it', 'test'].some(
      (name) => typeof (runner as Record<string, unknown>)?.[name] === 'function',
    ),
};

/** Any runner in one form: declares a named group of cases. */
export type DeclareGroup = (name: string, cases: (declare: DeclareCase) => void) => void;

/** Brings a runner into one form; without `describe` the group's name goes into each case's. */
export function declareGroups(runner: TestRunner): DeclareGroup {
  if (typeof runner === 'function') return named(runner);
  const declare = (runner.it ?? runner.test) as DeclareCase;
  const { describe } = runner;
  if (describe === undefined) return named(declare);
  return (name, cases) => {
    describe(name, () => cases(declare));
  };
}

function named(declare: DeclareCase): DeclareGroup {
  return (group, cases) => cases((name, run) => declare(`${group}: ${name}`, run));
}

/** Tells the runner that a case does not apply, where it can be told. */
export function skipCase(context: unknown, reason: string): void {
  const skip = (context as { skip?: (reason: string) => void } | undefined)?.skip;
  if (typeof skip === 'function') skip.call(context, reason);
}
