/**
 * `npm test [-- VITEST-ARGUMENT…]`: finds or installs the engines, builds what the tests run, runs
 * Vitest (Node and browser), and ends with the line `N passed, N failed[, N skipped]`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EngineName, ensureEngine, requiredEngines } from '../test/support/find-engine.ts';
import { ensureBuilt } from './build.ts';
import { compileCache, fillCompileCache } from './lib/compile-cache.ts';

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part that is read here of what Vitest's JSON reporter writes. */
interface JsonReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: 'passed' | 'failed';
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: 'passed' | 'failed' | 'skipped' | 'pending' | 'todo';
      readonly ancestorTitles: readonly string[];
      readonly title: string;
    }[];
  }[];
}

const count: Count = { passed: 0, failed: 0, skipped: 0 };
const vitestArguments = process.argv.slice(2);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function findEngines(): void {
  const required = requiredEngines();
  for (const name of ['redis', 'chromium', 'strace'] satisfies EngineName[]) {
    const found = ensureEngine(name, say);
    if ('at' in found) continue;
    if (required.has(name)) {
      count.failed += 1;
      say(`FAILED: ${name} is required: ${found.missing}`);
    } else {
      say(`skipping what needs ${name}: ${found.missing}`);
      if (name === 'chromium')
        count.skipped += globSync('{src,test}/**/*.browser.test.{ts,tsx}').length;
    }
  }
  // A hundred packages: only on demand. Where they are missing the tests are skipped.
  if (required.has('radosgw')) ensureEngine('radosgw', say);
}

async function build(): Promise<void> {
  try {
    await ensureBuilt(say);
  } catch (error) {
    count.failed += 1;
    say(`FAILED: the build: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function runVitest(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stratakv-test-'));
  const reportFile = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
    const vitest = spawn('vitest', ['run', ...reporters, ...vitestArguments], {
      env: { ...process.env, ...compileCache },
      stdio: 'inherit',
    });
    const [code] = await once(vitest, 'exit');
    const failedBefore = count.failed;
    countReport(JSON.parse(readFileSync(reportFile, 'utf8')));
    // An error outside any case, as an unhandled rejection, fails the run as well.
    if (code !== 0 && count.failed === failedBefore) count.failed += 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function countReport(report: JsonReport): void {
  const skipped = new Map<string, number>();
  for (const file of report.testResults) {
    let failedHere = 0;
    for (const { status, ancestorTitles, title } of file.assertionResults) {
      if (status === 'passed') count.passed += 1;
      else if (status === 'failed') failedHere += 1;
      else {
        count.skipped += 1;
        const reason = [...ancestorTitles, title].find((part) => part.includes('skipped')) ?? title;
        skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
      }
    }
    // A file that could not be loaded has no case, and yet it failed.
    count.failed += file.status === 'failed' ? Math.max(1, failedHere) : failedHere;
  }
  for (const [reason, cases] of skipped) say(`skipped ${cases}: ${reason}`);
}

findEngines();
await Promise.all([build(), fillCompileCache()]);
try {
  await runVitest();
} catch (error) {
  count.failed += 1;
  say(`FAILED: Vitest left no report: ${error instanceof Error ? error.message : String(error)}`);
}
process.exitCode = count.failed === 0 ? 0 : 1;
const skippedPart = count.skipped === 0 ? '' : `, ${count.skipped} skipped`;
say(`${count.passed} passed, ${count.failed} failed${skippedPart}`);
