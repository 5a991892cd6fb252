import { StrataError, type StrataErrorCode } from '../../store/errors.ts';
import { isOutOfSpace } from './space-probe.ts';

/** SQLite's result codes that mean something to a caller. */
const BUSY = 5;
const NOT_A_DATABASE = 26;
const CODES: Readonly<Record<number, StrataErrorCode>> = {
  3: 'denied',
  [BUSY]: 'unavailable',
  6: 'unavailable',
  7: 'unavailable',
  8: 'denied',
  10: 'unavailable',
  11: 'corrupt',
  13: 'no-space',
  14: 'unavailable',
  15: 'unavailable',
  18: 'invalid-argument',
  23: 'denied',
  [NOT_A_DATABASE]: 'corrupt',
};
/** Extended codes of I/O errors that are damage: checksum and file system corruption. */
const DAMAGED: ReadonlySet<number> = new Set([8_202, 8_458]);
/** Extended codes of files that could not be written or grown: nothing was committed. */
const UNWRITTEN: ReadonlySet<number> = new Set([778, 1_546, 4_874]);
const RETRYABLE: ReadonlySet<number> = new Set([BUSY, 6, 15]);

interface SqliteFailure extends Error {
  readonly errcode: number;
}

function isSqliteFailure(error: unknown): error is SqliteFailure {
  return error instanceof Error && typeof (error as Partial<SqliteFailure>).errcode === 'number';
}

/** True when another connection holds the lock that was wanted. */
export function isBusy(error: unknown): boolean {
  return isSqliteFailure(error) && (error.errcode & 0xff) === BUSY;
}

/** True when a commit failed before anything of it could count: its last frame was not written. */
export function isUnwritten(error: unknown): boolean {
  return isSqliteFailure(error) && UNWRITTEN.has(error.errcode);
}

/** True when the file is no SQLite database at all. */
export function isNoDatabase(error: unknown): boolean {
  return isSqliteFailure(error) && (error.errcode & 0xff) === NOT_A_DATABASE;
}

/** Any failure of the engine as a `StrataError`; what is one already passes. */
export function toStrataError(error: unknown, operation: string, path: string): unknown {
  if (error instanceof StrataError) return error;
  if (isSqliteFailure(error)) {
    const { errcode, message } = error;
    const code = codeOf(errcode, path);
    return new StrataError(code, `${operation}: SQLite says "${message}" (${errcode}) of ${path}`, {
      operation,
      cause: error,
      retryable: RETRYABLE.has(errcode & 0xff),
      details: { sqliteCode: errcode },
    });
  }
  if ((error as { code?: unknown } | undefined)?.code === 'ERR_INVALID_STATE')
    return new StrataError('closed', `${operation}: the store is closed`, {
      operation,
      cause: error,
    });
  return error;
}

function codeOf(errcode: number, path: string): StrataErrorCode {
  if (DAMAGED.has(errcode)) return 'corrupt';
  if (UNWRITTEN.has(errcode) && isOutOfSpace(path)) return 'no-space';
  return CODES[errcode & 0xff] ?? 'unavailable';
}
