import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './run-program.ts';

/** The package as it would be published. */
interface Packed {
  /** Path of the tarball. */
  readonly tarball: string;
  /** Paths of what is in it, from the root of the package. */
  readonly paths: readonly string[];
}

/** Packs the package, hands it over, and removes it again. */
export async function inPackedTarball<T>(use: (packed: Packed) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'stratakv-pack-'));
  try {
    const args = [
      'pack',
      '--json',
      '--ignore-scripts',
      '--loglevel=error',
      '--pack-destination',
      folder,
    ];
    const packed = await runProgram('npm', args);
    if (!packed.ok) throw new Error(`npm pack failed:\n${packed.output}`);
    const [made] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }];
    return await use({
      tarball: join(folder, made.filename),
      paths: made.files.map(({ path }) => path),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
