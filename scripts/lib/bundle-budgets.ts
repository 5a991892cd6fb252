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
  /** Modules that it must not contain, by their paths. */
  readonly without?: RegExp;
}

const budgets: readonly Budget[] = [
  {
    name: 'memory',
    source: `export { memory } from 'stratakv';`,
    maxBytes: 12_900,
    goalBytes: 5_000,
    without: /lru|node_modules/,
  },
  {
    name: 'memory, lru',
    source: `
      export { memory } from 'stratakv';
      export { lru } from 'stratakv/lru';`,
    maxBytes: 20_200,
    goalBytes: 12_000,
    // The library is in the published file.
    without: /node_modules/,
  },
  {
    name: 'memory, indexeddb, tiered, sync client',
    source: `
      export { memory, tiered } from 'stratakv';
      export { indexeddb } from 'stratakv/indexeddb';
      export { subscribe, webSocket } from 'stratakv/sync';`,
    maxBytes: 41_000,
    goalBytes: 16_000,
    without: /lru/,
  },
];

interface BundleSize extends Budget {
  /** In bytes, or why the bundle could not be made. */
  readonly size: number | string;
}

/** Measures what a browser would download, dependencies included. */
export async function bundleSizes(): Promise<BundleSize[]> {
  return Promise.all(
    budgets.map(async (budget) => ({ ...budget, size: await gzippedSize(budget) })),
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

/** The size in bytes, or why the bundle could not be made as it should be. */
async function gzippedSize({ source, without }: Budget): Promise<number | string> {
  const bundle = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'js' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    write: false,
    metafile: true,
    logLevel: 'silent',
  }).catch((error: Error) => error);
  if (bundle instanceof Error) return `missing: ${bundle.message}`;
  const outputs = Object.values(bundle.metafile.outputs);
  const contained = outputs.flatMap(({ inputs }) =>
    // What was only looked at has no bytes in it.
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? path : [])),
  );
  const wrong = contained.filter((path) => without?.test(path));
  if (wrong.length > 0) return `contains ${wrong.join(', ')}`;
  const [file] = bundle.outputFiles;
  if (file === undefined) return 'missing: esbuild made nothing';
  return gzipSync(file.contents, { level: 9 }).length;
}
