import { errorName, isFinal, statusOf } from '../../kernel/request-failures.ts';
import { failure, StrataError, type StrataErrorCode } from '../../store/errors.ts';

/** What a failure concerns. */
export interface Concern {
  readonly operation: string;
  readonly key?: string | undefined;
  readonly bucket: string;
}

const CODES: Readonly<Record<string, StrataErrorCode>> = {
  QuotaExceeded: 'no-space',
  InsufficientStorage: 'no-space',
  EntityTooLarge: 'invalid-argument',
  SlowDown: 'overloaded',
  CredentialsProviderError: 'denied',
};

const BY_STATUS: Readonly<Record<number, StrataErrorCode>> = {
  401: 'denied',
  403: 'denied',
  429: 'overloaded',
  503: 'overloaded',
  507: 'no-space',
};

/** There is no such object. */
export function isMissing(error: unknown): boolean {
  return errorName(error) === 'NoSuchKey' || (statusOf(error) === 404 && !isBucketMissing(error));
}

export function isBucketMissing(error: unknown): boolean {
  return errorName(error) === 'NoSuchBucket';
}

/** What stands is not what the condition wants; nothing was written. */
export function isLost(error: unknown): boolean {
  return statusOf(error) === 412;
}

/** The object is shorter than the part that was asked for begins. */
export function isTooShort(error: unknown): boolean {
  return statusOf(error) === 416;
}

/** Another write of the same object is under way; nothing was written, and asking again tells. */
export function isBusy(error: unknown): boolean {
  return (
    errorName(error) === 'ConditionalRequestConflict' || errorName(error) === 'OperationAborted'
  );
}

/** Any failure of a request as a `StrataError`; what is one already passes. */
export function toStrataError(error: unknown, concern: Concern): StrataError {
  if (error instanceof StrataError) return error;
  const { operation, key, bucket } = concern;
  if (isBucketMissing(error))
    return failure('unavailable', operation, `the bucket ${JSON.stringify(bucket)} is missing`, {
      key,
      cause: error,
      retryable: false,
      details: { bucket },
    });
  const status = statusOf(error);
  const code = CODES[errorName(error)] ?? BY_STATUS[status ?? 0] ?? 'unavailable';
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return failure(code, operation, `the endpoint of ${JSON.stringify(bucket)} says ${message}`, {
    key,
    cause: error,
    // A refusal that is not known would come again.
    ...(code === 'unavailable' && isFinal(status) && { retryable: false }),
    ...(status !== undefined && { details: { status } }),
  });
}
