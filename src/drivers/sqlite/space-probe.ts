import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';

const PROBE: Uint8Array = new Uint8Array(64 * 1024);
const FULL: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * Whether files beside a store can no longer grow. SQLite tells a full disk, but takes a full quota
 * and a limit on the size of files for any other failure.
 */
export function isOutOfSpace(path: string): boolean {
  const probe = `${path}-probe`;
  let file: number | undefined;
  try {
    file = openSync(probe, 'w');
    return writeSync(file, PROBE, 0, PROBE.length, largestOf(path)) < PROBE.length;
  } catch (error) {
    return FULL.has((error as NodeJS.ErrnoException).code);
  } finally {
    if (file !== undefined) closeSync(file);
    rmSync(probe, { force: true });
  }
}

/** Where the next write of the store would be: a probe there leaves a hole below it. */
function largestOf(path: string): number {
  const sizes = [path, `${path}-wal`].map((one) => statSync(one, { throwIfNoEntry: false })?.size);
  return Math.max(...sizes.map((size) => size ?? 0));
}
