import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import type { Outcome } from './outcome.ts';

interface Budget {
  readonly name: string;
  /** What an application would write; the package is imported by its own name, from `dist`. */
  readonly source: string;
  /** What it may weigh, minified and gzipped, in bytes: today's size and a little, so that it grows only on purpose. */
  readonly maxBytes: number;
  /** What it should weigh. */
  readonly goalBytes: number;
}

const budgets: readonly Budget[] = [
  {
    name: 'memory',
    source: `export { memory } from 'stratakv';`,
    maxBytes: 12_700,
    goalBytes: 5_000,
  },
  {
    name: 'memory, indexeddb, tiered, sync client',
    source: `
      export { memory, tiered } from 'stratakv';
      export { indexeddb } from 'stratakv/indexeddb';
      export { subscribe, webSocket } from 'stratakv/sync';`,
    maxBytes: 41_000,
    goalBytes: 16_000,
  },
];

interface BundleSize extends Budget {
  /** In bytes, or why the bundle could not be made. */
  readonly size: number | string;
}

/** Measures what a browser would download, dependencies included. */
export async function bundleSizes(): Promise<BundleSize[]> {
  return Promise.all(
    budgets.map(async (budget) => ({ ...budget, size: await gzippedSize(budget.source) })),
  );
}

/** Compares what a browser would download with the budget. */
export async function bundleBudgets(): Promise<Outcome> {
  const lines: string[] = [];
  let ok = true;
  for (const { name, size, maxBytes } of await bundleSizes()) {
    const fits = typeof size === 'number' && size <= maxBytes;
    ok &&= fits;
    const verdict = fits ? '' : ' TOO MUCH';
    lines.push(
      typeof size === 'number' ? `${name}: ${size} of ${maxBytes} B${verdict}` : `${name}: ${size}`,
    );
  }
  return ok ? { ok, note: lines.join('; ') } : { ok, reason: lines.join('\n') };
}

/** The size in bytes, or why the bundle could not be made. */
async function gzippedSize(source: string): Promise<number | string> {
  const bundle = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'js' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    write: false,
    logLevel: 'silent',
  }).catch((error: Error) => error);
  if (bundle instanceof Error) return `missing: ${bundle.message}`;
  const [file] = bundle.outputFiles;
  if (file === undefined) return 'missing: esbuild made nothing';
  return gzipSync(file.contents, { level: 9 }).length;
}
