/** What went wrong, as a stable word to act on. The message is for people and may change. */
export type StrataErrorCode =
  | 'invalid-argument'
  | 'unsupported'
  | 'closed'
  | 'conflict'
  | 'timeout'
  | 'aborted'
  | 'unavailable'
  | 'corrupt'
  | 'data-missing'
  | 'overloaded'
  | 'no-space'
  | 'denied'
  | 'cursor-expired'
  | 'unknown-outcome';

const RETRYABLE: ReadonlySet<StrataErrorCode> = new Set(['timeout', 'unavailable', 'overloaded']);

/** What a `StrataError` is made of; `retryable` defaults to what the code implies. */
export interface StrataErrorInit {
  /** The public operation that failed: `set`, `list`, `open`, `subscribe` … */
  readonly operation: string;
  /** The key concerned, where there is one. */
  readonly key?: string | undefined;
  readonly cause?: unknown;
  /** Whether the same call may succeed later without any change by the caller. */
  readonly retryable?: boolean | undefined;
  /** Facts for programs, such as the keys that were applied before a partial failure. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The one error type of the library. Act on `code`, never on the text.
 *
 * `timeout` and `aborted` mean that nothing was applied; a write that may have been applied says
 * `unknown-outcome`. `retryable` is true for `timeout`, `unavailable` and `overloaded`.
 */
export class StrataError extends Error {
  override readonly name: string = 'StrataError';
  readonly code: StrataErrorCode;
  readonly retryable: boolean;
  readonly operation: string;
  readonly key?: string;
  readonly details?: Readonly<Record<string, unknown>>;

  constructor(code: StrataErrorCode, message: string, init: StrataErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.retryable = init.retryable ?? RETRYABLE.has(code);
    this.operation = init.operation;
    if (init.key !== undefined) this.key = init.key;
    if (init.details !== undefined) this.details = init.details;
  }
}

/** True for a `StrataError`, optionally of one of the given codes. */
export function isStrataError(error: unknown, ...codes: StrataErrorCode[]): error is StrataError {
  return error instanceof StrataError && (codes.length === 0 || codes.includes(error.code));
}

/** An error whose message begins with the operation, as all of them do. */
export function failure(
  code: StrataErrorCode,
  operation: string,
  what: string,
  more?: Omit<StrataErrorInit, 'operation'>,
): StrataError {
  return new StrataError(code, `${operation}: ${what}`, { operation, ...more });
}

/** Shortens any value to one line for an error message. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  }
  if (typeof value === 'function') return `a function`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value)
    ? `an array of ${value.length}`
    : `an object (${value.constructor?.name ?? 'no prototype'})`;
}

/** Refuses an argument: says where, what came and what would be right. */
export function invalidArgument(
  operation: string,
  what: string,
  got: unknown,
  expected: string,
  key?: string,
  cause?: unknown,
): StrataError {
  return failure('invalid-argument', operation, `${what} is ${show(got)}; expected ${expected}`, {
    key,
    cause,
  });
}
