import type { Call } from '../../store/call.ts';
import { isStrataError, StrataError, type StrataErrorCode } from '../../store/errors.ts';

/** The word with which Redis begins an error, and what it means to a caller. */
const CODES: Readonly<Record<string, StrataErrorCode>> = {
  OOM: 'no-space',
  // Redis refuses writes because it could not save: nearly always a full disk.
  MISCONF: 'no-space',
  READONLY: 'denied',
  NOPERM: 'denied',
  NOAUTH: 'denied',
  WRONGPASS: 'denied',
  DENIED: 'denied',
  WRONGTYPE: 'corrupt',
  LOADING: 'unavailable',
  BUSY: 'unavailable',
  MASTERDOWN: 'unavailable',
  NOREPLICAS: 'unavailable',
  CLUSTERDOWN: 'unavailable',
  TRYAGAIN: 'unavailable',
  UNKILLABLE: 'unavailable',
  // How a script is told that its user lacks a right.
  "can't run this command": 'denied',
};
const WORDS = new RegExp(`\\b(${Object.keys(CODES).join('|')})\\b`);
/** Errors of Redis begin with a word in capitals; errors of clients and sockets do not. */
const REPLY = /^-?[A-Z]{2,}[A-Z0-9]* /;

/** Whether Redis itself answered with this error: then the command was not applied. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && REPLY.test(error.message);
}

/** What clients say of a command that they did not send. */
const UNSENT = /isn't writeable|client is (offline|closed)/;

/** Whether a connection that says so is of no more use: another one may reach the right server. */
export function isMisplaced(error: unknown): boolean {
  return error instanceof Error && /\b(READONLY|MASTERDOWN|NOAUTH)\b/.test(error.message);
}

/** What Redis answered, as an error of the library. */
export function replyFailure(error: Error, operation: string, key?: string): StrataError {
  const word = WORDS.exec(error.message)?.[1];
  const code = word === undefined ? 'unavailable' : (CODES[word] as StrataErrorCode);
  return new StrataError(code, `${operation}: Redis refused: ${error.message}`, {
    operation,
    key,
    cause: error,
    // An answer that is not known may come again and again.
    ...(word === undefined && { retryable: false }),
  });
}

/** Why there is no connection. */
export function connectFailure(error: unknown, operation: string): StrataError {
  if (isStrataError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const word = WORDS.exec(message)?.[1];
  const code = word === undefined ? 'unavailable' : (CODES[word] as StrataErrorCode);
  return new StrataError(code, `${operation}: Redis cannot be reached: ${message}`, {
    operation,
    cause: error,
  });
}

/** Why a read gave nothing. */
export function readFailure(error: unknown, operation: string, key?: string): StrataError {
  if (isStrataError(error)) return error;
  if (isReply(error)) return replyFailure(error, operation, key);
  return new StrataError('unavailable', `${operation}: the connection to Redis ended`, {
    operation,
    key,
    cause: error,
  });
}

/** Why a commit that was sent has no outcome. */
export function commitFailure(error: unknown, { operation, key }: Call): StrataError {
  if (isReply(error)) return replyFailure(error, operation, key);
  if (error instanceof Error && UNSENT.test(error.message))
    return readFailure(error, operation, key);
  return new StrataError(
    'unknown-outcome',
    `${operation}: the connection to Redis ended before its answer, and the write may have been applied`,
    { operation, key, cause: error, details: { reason: 'connection' } },
  );
}

/** What stands under the store's keys is not what it left there. */
export function damaged(operation: string): StrataError {
  return new StrataError(
    'corrupt',
    `${operation}: the keys of the store in Redis do not fit together; one of them was removed or changed`,
    { operation },
  );
}

/** The error of one call for a failure that concerns all that share a connection. */
export function forCall(error: unknown, { operation, key }: Call): StrataError {
  if (!isStrataError(error)) return readFailure(error, operation, key);
  const { code, message, retryable, details } = error;
  return new StrataError(code, message, { operation, key, cause: error, retryable, details });
}

/** A server whose history changes again and again. */
export function restless(operation: string): StrataError {
  return new StrataError('unavailable', `${operation}: the store was moved while it was used`, {
    operation,
  });
}

/** The store was closed before, or meanwhile. */
export function closedStore(operation: string): StrataError {
  return new StrataError('closed', `${operation}: the store is closed`, { operation });
}
