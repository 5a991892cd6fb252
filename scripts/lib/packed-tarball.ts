import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './run-program.ts';

/** Packs the package as it would be published, hands over the tarball's path, and removes it again. */
export async function inPackedTarball<T>(use: (tarball: string) => Promise<T>): Promise<T> {
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
    const [made] = JSON.parse(packed.stdout) as [{ filename: string }];
    return await use(join(folder, made.filename));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
