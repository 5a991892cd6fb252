import { failure, StrataError, type StrataErrorCode } from '../../store/errors.ts';

const CODES: Readonly<Record<string, StrataErrorCode>> = {
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EFBIG: 'no-space',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
};
/** Shortages that pass. */
const RETRYABLE: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR']);

/** The system's word for a failure, such as `ENOSPC`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** A flush failed: what the disk has of the data is unknown, and asking again would not tell. */
export function isFlushFailure(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'fsync';
}

/** Any failure of the file system as a `StrataError`; what is one already passes. */
export function toStrataError(error: unknown, operation: string, key?: string): unknown {
  if (error instanceof StrataError) return error;
  const code = systemCode(error);
  if (code === undefined) return error;
  return failure(
    CODES[code] ?? 'unavailable',
    operation,
    `the file system says ${(error as Error).message}`,
    { key, cause: error, retryable: RETRYABLE.has(code), details: { systemCode: code } },
  );
}

/** Runs work on the disk; its failures come out as `StrataError`s. */
export function onDisk<T>(operation: string, work: () => T, key?: string): T {
  try {
    return work();
  } catch (error) {
    throw toStrataError(error, operation, key);
  }
}
