import { failure, StrataError, type StrataErrorCode } from '../../store/errors.ts';

/** What a failure concerns. */
export interface Concern {
  readonly operation: string;
  readonly key?: string | undefined;
  readonly bucket: string;
}

/** What clients and endpoints say of a request that failed. */
interface RequestError extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
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

/** Said by the host before anything was sent. */
const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function statusOf(error: unknown): number | undefined {
  return (error as RequestError | undefined)?.$metadata?.httpStatusCode;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** There is no such object. */
export function isMissing(error: unknown): boolean {
  return nameOf(error) === 'NoSuchKey' || (statusOf(error) === 404 && !isBucketMissing(error));
}

export function isBucketMissing(error: unknown): boolean {
  return nameOf(error) === 'NoSuchBucket';
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
  return nameOf(error) === 'ConditionalRequestConflict' || nameOf(error) === 'OperationAborted';
}

/** Whether a request that failed so may have been carried out. */
export function isInDoubt(error: unknown): boolean {
  if (nameOf(error) === 'CredentialsProviderError') return false;
  const status = statusOf(error);
  if (status !== undefined && status >= 300) return status >= 500 || status === 408;
  return !UNSENT.has((error as RequestError | undefined)?.code);
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
  const code = CODES[nameOf(error)] ?? BY_STATUS[status ?? 0] ?? 'unavailable';
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return failure(code, operation, `the endpoint of ${JSON.stringify(bucket)} says ${message}`, {
    key,
    cause: error,
    // A refusal that is not known would come again.
    ...(code === 'unavailable' &&
      status !== undefined &&
      status < 500 &&
      status >= 300 &&
      status !== 408 && { retryable: false }),
    ...(status !== undefined && { details: { status } }),
  });
}

/** A write whose answer was lost. */
export function unknownOutcome(error: unknown, concern: Concern): StrataError {
  const { operation, key } = concern;
  const cause = toStrataError(error, concern);
  return failure(
    'unknown-outcome',
    operation,
    `the write may have been applied (${cause.message})`,
    {
      key,
      cause,
      details: { reason: 'connection' },
    },
  );
}
