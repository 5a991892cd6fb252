import { isStrataError, StrataError } from '../store/errors.ts';
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
  const told = isTold
    ? cause
    : new StrataError('unavailable', `subscribe: the server failed with '${cause.code}'`, {
        operation: 'subscribe',
      });
  return { reason: reasonOf(cause), cause, told };
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
