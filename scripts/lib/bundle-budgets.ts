import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import type { Outcome } from './outcome.ts';

interface Budget {
  readonly name: string;
  /** What an application would write; the package is imported by its own name, from `dist`. */
  readonly source: string;
  /** What it may weigh, minified and gzipped, in bytes: today's size and a little, so that it grows only on purpose. */
  readonly maxBytes: number;
  /** What it should weigh. */
  readonly goalBytes: number;
  /** Measured by what is downloaded at once, with parts in files of their own that are loaded when they are used. */
  readonly splits?: boolean;
  /** Modules that it must not contain, by their paths. */
  readonly without?: RegExp;
}

const budgets: readonly Budget[] = [
  {
    name: 'memory',
    source: `export { memory } from 'stratakv';`,
    maxBytes: 14_900,
    goalBytes: 5_000,
    without: /lru|node_modules/,
  },
  {
    name: 'memory, lru',
    source: `
      export { memory } from 'stratakv';
      export { lru } from 'stratakv/lru';`,
    maxBytes: 22_100,
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
    maxBytes: 67_100,
    goalBytes: 16_000,
    splits: true,
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
async function gzippedSize({ source, splits = false, without }: Budget): Promise<number | string> {
  const bundle = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'js' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    splitting: splits,
    outdir: 'bundle',
    write: false,
    metafile: true,
    logLevel: 'silent',
  }).catch((error: Error) => error);
  if (bundle instanceof Error) return `missing: ${bundle.message}`;
  const outputs = atOnce(bundle.metafile.outputs);
  const contained = outputs.flatMap(([, { inputs }]) =>
    // What was only looked at has no bytes in it.
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? path : [])),
  );
  const wrong = contained.filter((path) => without?.test(path));
  if (wrong.length > 0) return `contains ${wrong.join(', ')}`;
  const files = bundle.outputFiles.filter(({ path }) =>
    outputs.some(([name]) => resolve(name) === path),
  );
  if (files.length === 0) return 'missing: esbuild made nothing';
  return files.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0);
}

type Outputs = Metafile['outputs'];

/** The files that are downloaded at once: the entry, and what it imports, but not what it may load later. */
function atOnce(outputs: Outputs): [string, Outputs[string]][] {
  const [entry] = Object.entries(outputs).filter(([, { entryPoint }]) => entryPoint === '<stdin>');
  const wanted = new Set<string>(entry === undefined ? [] : [entry[0]]);
  for (const name of wanted)
    for (const { path, kind } of outputs[name]?.imports ?? [])
      if (kind === 'import-statement') wanted.add(path);
  return Object.entries(outputs).filter(([name]) => wanted.has(name));
}
