/** Runs one case; what a runner passes to it may offer `skip`. */
export type CaseFunction = (context?: unknown) => Promise<void>;

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

/** Any runner in one form: declares a named group of cases. */
export type DeclareGroup = (name: string, cases: (declare: DeclareCase) => void) => void;

/** Brings a runner into one form; without `describe` the group's name goes into each case's. */
export function declareGroups(runner: TestRunner): DeclareGroup {
  if (typeof runner === 'function') return named(runner);
  const declare = runner.it ?? runner.test;
  if (declare === undefined)
    throw new TypeError('conformance: the option test has neither it nor test; expected one');
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
