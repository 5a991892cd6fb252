import { errorName, isFinal, isInDoubt, statusOf } from '../../kernel/request-failures.ts';
import { failure, StrataError, type StrataErrorCode } from '../../store/errors.ts';

/** What a failure concerns. */
export interface Concern {
  readonly operation: string;
  readonly key?: string | undefined;
  readonly table: string;
}

const CODES: Readonly<Record<string, StrataErrorCode>> = {
  AccessDeniedException: 'denied',
  CredentialsProviderError: 'denied',
  ExpiredTokenException: 'denied',
  IncompleteSignatureException: 'denied',
  InvalidSignatureException: 'denied',
  MissingAuthenticationTokenException: 'denied',
  UnrecognizedClientException: 'denied',
  ItemCollectionSizeLimitExceededException: 'no-space',
  LimitExceededException: 'overloaded',
  ProvisionedThroughputExceededException: 'overloaded',
  ReplicatedWriteConflictException: 'overloaded',
  RequestLimitExceeded: 'overloaded',
  ThrottlingException: 'overloaded',
  TransactionConflictException: 'overloaded',
  ValidationException: 'invalid-argument',
};

/** There is no such table, or not yet. */
export function isTableMissing(error: unknown): boolean {
  return errorName(error) === 'ResourceNotFoundException';
}

/** What stands is not what the condition wants; nothing was written. */
export function isLost(error: unknown): boolean {
  return errorName(error) === 'ConditionalCheckFailedException';
}

/** It was not carried out, and asking again later may do. */
export function isBusy(error: unknown): boolean {
  return CODES[errorName(error)] === 'overloaded';
}

/** Whether a read that failed so may be had by asking again. */
export function isWorthAnother(error: unknown): boolean {
  return isBusy(error) || isInDoubt(error);
}

/** Any failure of a request as a `StrataError`; what is one already passes. */
export function toStrataError(error: unknown, concern: Concern): StrataError {
  if (error instanceof StrataError) return error;
  const { operation, key, table } = concern;
  if (isTableMissing(error))
    return failure('unavailable', operation, `the table ${JSON.stringify(table)} is missing`, {
      key,
      cause: error,
      retryable: false,
      details: { table },
    });
  const status = statusOf(error);
  const code = CODES[errorName(error)] ?? 'unavailable';
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return failure(code, operation, `the endpoint of ${JSON.stringify(table)} says ${message}`, {
    key,
    cause: error,
    // A refusal that is not known would come again.
    ...(code === 'unavailable' && isFinal(status) && { retryable: false }),
    ...(status !== undefined && { details: { status } }),
  });
}
