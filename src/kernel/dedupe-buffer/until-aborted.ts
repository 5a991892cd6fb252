import { failure, type StrataError } from '../../store/errors.ts';

const aborted = (signal: AbortSignal, operation: string): StrataError =>
  failure('aborted', operation, "the caller's signal aborted it", { cause: signal.reason });

export function throwIfAborted(signal: AbortSignal | undefined, operation: string): void {
  if (signal?.aborted) throw aborted(signal, operation);
}

/** Settles as the promise does, or rejects with `aborted` when the signal comes first; leaves nothing behind on either. */
export function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  operation: string,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal, operation));
    const settle = (): void => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(settle);
  });
}
