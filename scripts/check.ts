/**
 * `npm run check`: every check that needs no running of the product, in under a minute. Prints a table,
 * then what the failed checks said. Two run at a time.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ensureBuilt } from './build.ts';
import { bundleBudgets } from './lib/bundle-budgets.ts';
import { checkImports } from './lib/check-imports.ts';
import { deadPackedLinks } from './lib/dead-links.ts';
import type { Outcome } from './lib/outcome.ts';
import { inPackedTarball } from './lib/packed-tarball.ts';
import { type Finished, runProgram } from './lib/run-program.ts';

interface Check {
  readonly name: string;
  run(): Promise<Outcome>;
}

interface Result {
  readonly name: string;
  readonly outcome: Outcome;
  readonly tookMs: number;
}

const passed = (done: Finished): Outcome =>
  done.ok ? { ok: true } : { ok: false, reason: done.output.trim() };

const program =
  (name: string, ...args: string[]): (() => Promise<Outcome>) =>
  async () =>
    passed(await runProgram(name, args));

/** Both TypeScripts are needed: 7 checks and builds, 6 has the API that the import rule reads with. */
async function checkCompilers(): Promise<Outcome> {
  const { stdout } = await runProgram('tsc', ['-v']);
  if (!stdout.startsWith('Version 7.')) return { ok: false, reason: `tsc is not 7: ${stdout}` };
  const { version } = createRequire(import.meta.url)('typescript') as { version: string };
  if (!version.startsWith('6.')) return { ok: false, reason: `the API is not 6: ${version}` };
  return { ok: true, note: `${stdout.trim().slice('Version '.length)} and ${version}` };
}

/** `npm ci` must accept the lockfile, which must name no registry. */
async function checkLockfile(): Promise<Outcome> {
  if (readFileSync('package-lock.json', 'utf8').includes('"resolved"')) {
    return { ok: false, reason: 'package-lock.json has "resolved" entries; see .npmrc' };
  }
  return passed(
    await runProgram('npm', ['ci', '--dry-run', '--ignore-scripts', '--loglevel=error']),
  );
}

let built: Promise<Error | undefined> | undefined;
/** The build, made once for all checks that look at it. */
function withBuild(check: () => Promise<Outcome>): () => Promise<Outcome> {
  return async () => {
    built ??= ensureBuilt(() => undefined).then(
      () => undefined,
      (error: Error) => error,
    );
    const failure = await built;
    return failure === undefined ? check() : { ok: false, reason: failure.message };
  };
}

const checks: readonly Check[] = [
  { name: 'build', run: withBuild(async () => ({ ok: true })) },
  { name: 'lockfile', run: checkLockfile },
  { name: 'compilers', run: checkCompilers },
  // The examples import the package by its name, and so the types that were built.
  { name: 'types', run: withBuild(program('tsc', '-p', 'tsconfig.json')) },
  { name: 'types, browser', run: program('tsc', '-p', 'tsconfig.browser.json') },
  { name: 'style', run: program('biome', 'ci', '--colors=off', '.') },
  { name: 'imports', run: checkImports },
  { name: 'unused', run: program('knip', '--no-progress', '--no-config-hints') },
  {
    name: 'package',
    run: withBuild(() =>
      inPackedTarball(async ({ tarball, paths }) => {
        const dead = deadPackedLinks(paths);
        if (dead.length > 0) return { ok: false, reason: `not packed: ${dead.join(', ')}` };
        const lint = await runProgram('publint', ['run', tarball, '--strict']);
        return lint.ok
          ? passed(await runProgram('attw', ['--profile', 'esm-only', tarball]))
          : passed(lint);
      }),
    ),
  },
  { name: 'bundle size', run: withBuild(bundleBudgets) },
];

async function timed(check: Check): Promise<Result> {
  const start = performance.now();
  let outcome: Outcome;
  try {
    outcome = await check.run();
  } catch (error) {
    outcome = { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
  return { name: check.name, outcome, tookMs: performance.now() - start };
}

async function runAll(): Promise<Result[]> {
  const waiting = checks.entries();
  const results: Result[] = [];
  const worker = async (): Promise<void> => {
    for (const [index, check] of waiting) results[index] = await timed(check);
  };
  await Promise.all([worker(), worker()]);
  return results;
}

const start = performance.now();
const results = await runAll();
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`.padStart(7);
for (const { name, outcome, tookMs } of results) {
  const verdict = outcome.ok ? `ok      ${outcome.note ?? ''}` : 'FAILED';
  process.stdout.write(`${name.padEnd(16)}${seconds(tookMs)}  ${verdict}\n`);
}
for (const { name, outcome } of results) {
  if (!outcome.ok) process.stdout.write(`\n--- ${name}\n${outcome.reason}\n`);
}
const failed = results.filter((result) => !result.outcome.ok).length;
const total = seconds(performance.now() - start).trim();
process.stdout.write(
  `\n${results.length - failed} of ${results.length} checks passed in ${total}\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
