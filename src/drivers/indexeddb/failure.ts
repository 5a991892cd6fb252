import { isStrataError, StrataError, type StrataErrorCode } from '../../store/errors.ts';

/** What the engine's own errors mean here. */
const MEANINGS: Readonly<Record<string, readonly [StrataErrorCode, string]>> = {
  QuotaExceededError: ['no-space', "the browser's storage quota is used up"],
  DataCloneError: ['invalid-argument', 'the value is no data that can be cloned and stored'],
  NotReadableError: ['corrupt', 'a stored value can no longer be read'],
  DataError: ['corrupt', 'a stored value can no longer be read'],
  SecurityError: ['denied', 'the browser allows no storage here'],
  OutcomeUnknown: [
    'unknown-outcome',
    'the database went away, and the write may have been applied',
  ],
  NotFoundError: ['invalid-argument', 'the database belongs to another program'],
};

/** Nobody can tell whether a commit was stored. */
export class OutcomeUnknown extends Error {
  override readonly name: string = 'OutcomeUnknown';

  constructor(cause: unknown) {
    super('', { cause });
  }
}

/** The errors of a connection that went away under a call: another one may succeed. */
export function isLost(error: unknown): boolean {
  return (
    error instanceof DOMException &&
    ['InvalidStateError', 'AbortError', 'UnknownError', 'TransactionInactiveError'].includes(
      error.name,
    )
  );
}

/** Any failure of the engine as a `StrataError`. */
export function toFailure(error: unknown, operation: string, key?: string): StrataError {
  if (isStrataError(error)) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  const [code, what] = MEANINGS[name] ?? ['unavailable', 'the database did not answer'];
  const said = error instanceof Error && error.message !== '' ? ` (${error.message})` : '';
  return new StrataError(code, `${operation}: ${what}${said}`, { operation, key, cause: error });
}
