import { StrataError, type StrataErrorCode } from '../../store/errors.ts';
import { isOutOfSpace } from './data-file.ts';

/** LMDB's result codes and the system's, as numbers, that mean something to a caller. */
const CODES: Readonly<Record<number, StrataErrorCode>> = {
  1: 'denied',
  13: 'denied',
  27: 'no-space',
  28: 'no-space',
  30: 'denied',
  122: 'no-space',
  [-30779]: 'corrupt',
  [-30792]: 'no-space',
  [-30793]: 'corrupt',
  [-30794]: 'unsupported',
  [-30796]: 'corrupt',
  [-30797]: 'corrupt',
};

/** A failure of the disk, and what LMDB makes of a write that was cut short. */
const INPUT_OUTPUT = 5;

/** The file system's codes, and those of Node for its own checks. */
const FILE_CODES: Readonly<Record<string, StrataErrorCode>> = {
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  EFBIG: 'no-space',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  ENOTDIR: 'invalid-argument',
  EEXIST: 'invalid-argument',
  ENAMETOOLONG: 'invalid-argument',
  ELOOP: 'invalid-argument',
  ENOENT: 'invalid-argument',
  ERR_INVALID_ARG_VALUE: 'invalid-argument',
};

/** Any failure of LMDB or the file system as a `StrataError`; what is one already passes. */
export function toStrataError(error: unknown, operation: string, path: string): StrataError {
  if (error instanceof StrataError) return error;
  const { message, code } = error as Error & { readonly code?: unknown };
  if (/closed database|has been closed|Database is closed/.test(message))
    return storeClosed(operation, error);
  const known = typeof code === 'number' ? ofNumber(code, path) : FILE_CODES[String(code)];
  return new StrataError(
    known ?? 'unavailable',
    `${operation}: LMDB says "${message}" of ${path}`,
    // What the disk refused once it will not take for being asked again.
    { operation, cause: error, retryable: false },
  );
}

export function storeClosed(operation: string, cause?: unknown): StrataError {
  return new StrataError('closed', `${operation}: the store is closed`, { operation, cause });
}

/** For a write that was under way when the store was closed without it. */
export function cutOff(operation: string): StrataError {
  const message = `${operation}: the store was closed while the write was under way`;
  return new StrataError('unknown-outcome', message, { operation });
}

function ofNumber(code: number, path: string): StrataErrorCode | undefined {
  return code === INPUT_OUTPUT && isOutOfSpace(path) ? 'no-space' : CODES[code];
}

/** Why a transaction was given up: lmdb-js tells it apart from the refusal of each write. */
export async function causeOf(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> };
  if (commitError === undefined) return error;
  return commitError.then(
    () => error,
    (cause: unknown) => cause,
  );
}
