/** What clients of services over HTTP say of a request that failed. */
interface RequestError extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Said by the host before anything was sent. */
const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** The status of the answer, where there was one. */
export function statusOf(error: unknown): number | undefined {
  return (error as RequestError | undefined)?.$metadata?.httpStatusCode;
}

/** The name by which a service tells an error from others. */
export function errorName(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** Whether a request that failed so may have been carried out. */
export function isInDoubt(error: unknown): boolean {
  if (errorName(error) === 'CredentialsProviderError') return false;
  const status = statusOf(error);
  if (status !== undefined && status >= 300) return status >= 500 || status === 408;
  return !UNSENT.has((error as RequestError | undefined)?.code);
}

/** Whether a refusal of this status would come again: of errors that have no code of their own. */
export function isFinal(status: number | undefined): boolean {
  return status !== undefined && status >= 300 && status < 500 && status !== 408;
}
