/**
 * Builds `dist`: the library and the CLI by tsc, the web console by Vite. A file that uses a small
 * package gets that package's code put into it by esbuild, so that users install nothing. The new build is made in a
 * folder of its own and then takes the place of the old one, so nobody ever reads half a build.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  globSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build as bundle } from 'esbuild';
import { runProgram } from './lib/run-program.ts';

const dist = 'dist';
const stampName = '.stamp';

/** Files that contain their package once they are built, and import nothing then. */
const vendoring = [{ file: 'drivers/lru/recency.js', from: 'lru-cache' }] as const;

/** Builds unless `dist` was made from exactly the present sources. Throws when the build fails. */
export async function ensureBuilt(say: (line: string) => void): Promise<void> {
  const stamp = sourceStamp();
  const stampFile = join(dist, stampName);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  say('building dist');
  await build(stamp);
}

/** Builds `dist` whatever is there. */
export async function build(stamp: string = sourceStamp()): Promise<void> {
  const next = `${dist}.next-${process.pid}`;
  rmSync(next, { recursive: true, force: true });
  try {
    await Promise.all([buildLibrary(next), buildConsole(join(next, 'console'))]);
    const main = join(next, 'cli', 'main.js');
    if (existsSync(main)) chmodSync(main, 0o755);
    writeFileSync(join(next, stampName), stamp);
    const old = `${dist}.old-${process.pid}`;
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(next, dist);
    rmSync(old, { recursive: true, force: true });
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
}

async function buildLibrary(outDir: string): Promise<void> {
  const compiled = await runProgram('tsc', ['-p', 'tsconfig.build.json', '--outDir', outDir]);
  if (!compiled.ok) throw new Error(`tsc failed:\n${compiled.output}`);
  await Promise.all(vendoring.map(({ file, from }) => vendor(join(outDir, file), from)));
}

/** Puts a package's code into the file that imports it, with its licence. */
async function vendor(path: string, from: string): Promise<void> {
  const licence = readFileSync(join('node_modules', from, 'LICENSE.md'), 'utf8');
  await bundle({
    entryPoints: [path],
    outfile: path,
    allowOverwrite: true,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    banner: { js: `/*! Contains ${from}:\n\n${licence.replaceAll('*/', '* /')}*/` },
    logLevel: 'silent',
  });
}

async function buildConsole(outDir: string): Promise<void> {
  if (!existsSync('src/console/index.html')) return;
  const bundled = await runProgram('vite', ['build', '--outDir', `../../${outDir}`]);
  if (!bundled.ok) throw new Error(`vite build failed:\n${bundled.output}`);
}

/** A digest of everything that `dist` is made from. */
function sourceStamp(): string {
  const sources = globSync('src/**/*', { withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  const settings = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'vite.config.ts'];
  const digest = createHash('sha256');
  for (const path of [...sources.sort(), ...settings]) {
    digest.update(`${path}\n`).update(createHash('sha256').update(readFileSync(path)).digest());
  }
  return digest.digest('hex');
}

if (import.meta.main) {
  try {
    await build();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
