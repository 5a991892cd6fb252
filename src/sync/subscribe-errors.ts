import { isStrataError, StrataError } from '../store/errors.ts';

/** What failed on the subscriber's side, as one of the library's own errors. */
export function asSubscribeError(error: unknown): StrataError {
  if (isStrataError(error)) return error;
  return new StrataError('unavailable', 'subscribe: it failed', {
    operation: 'subscribe',
    cause: error,
  });
}
