import { StrataError, type StrataErrorCode } from '../store/errors.ts';

const CODES: Readonly<Record<string, readonly [code: StrataErrorCode, what: string]>> = {
  ENOENT: ['invalid-argument', 'does not exist'],
  ENOTDIR: ['invalid-argument', 'lies under a file, not a folder'],
  EISDIR: ['invalid-argument', 'is a folder; expected a file'],
  EEXIST: ['conflict', 'exists already'],
  EACCES: ['denied', 'may not be used by this user'],
  EPERM: ['denied', 'may not be used by this user'],
  EROFS: ['denied', 'lies on a read-only file system'],
  ENOSPC: ['no-space', 'lies on a full disk'],
  EDQUOT: ['no-space', 'is over its quota'],
  EADDRINUSE: ['unavailable', 'is in use by another program; choose another with --port'],
  EADDRNOTAVAIL: ['invalid-argument', 'is no address of this machine'],
};

/** The operating system's word for what went wrong, where the error has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return error instanceof Error && typeof code === 'string' ? code : undefined;
}

/** An error of the operating system about `what`, as a `StrataError`; others stay as they are. */
export function fromSystemError(error: unknown, operation: string, what: string): unknown {
  if (error instanceof StrataError) return error;
  const name = systemCode(error);
  if (name === undefined || !/^E[A-Z0-9]+$/.test(name)) return error;
  const [code, meaning] = CODES[name] ?? ['unavailable', `failed with ${name}`];
  return new StrataError(code, `${operation}: ${what} ${meaning}`, { operation, cause: error });
}
