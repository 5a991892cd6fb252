import { isStrataError, StrataError, type StrataErrorCode } from '../store/errors.ts';
import type { EndReason } from './end-reason.ts';

/** Something that ends a connection. */
export interface ConnectionFailure {
  readonly reason: EndReason;
  /** For this side. */
  readonly cause: StrataError;
  /** For the subscriber: what fails inside the server is told by its code alone; most of it may pass. */
  readonly told: StrataError;
}

/** What a failure means for the connection that it concerns. */
export function failureOf(error: unknown): ConnectionFailure {
  const cause = isStrataError(error) ? error : unexpected(error);
  const isTold = cause.operation === 'subscribe' || cause.code === 'invalid-argument';
  return { reason: reasonOf(cause), cause, told: isTold ? cause : failed(cause.code) };
}

/** A missing entry is the source's own fault, and may yet come: which one it is, is not told. */
function failed(code: StrataErrorCode): StrataError {
  return new StrataError(
    code === 'data-missing' ? code : 'unavailable',
    `subscribe: the server failed with '${code}'`,
    { operation: 'subscribe', retryable: true },
  );
}

function reasonOf(error: StrataError): EndReason {
  if (error.code === 'denied') return 'denied';
  if (error.operation !== 'subscribe') return 'failed';
  return error.code === 'overloaded' ? 'overloaded' : 'refused';
}

/** A failure that no store tells of by itself. */
export function unexpected(cause: unknown): StrataError {
  return new StrataError('unavailable', 'publish: an unexpected failure', {
    operation: 'publish',
    cause,
  });
}
