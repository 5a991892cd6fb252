/** The result of a request. Its transaction can be used right after awaiting it, and after nothing else. */
export function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    // A request that fell with its transaction: the transaction knows why.
    request.onerror = (event) => {
      // Who waits for it decides what becomes of the transaction, which others may share.
      event.preventDefault();
      reject(request.transaction?.error ?? request.error);
    };
  });
}

/** The results of requests of one transaction: they are answered in order, so the last is waited for. */
export async function resultsOf<T>(requests: readonly IDBRequest<T>[]): Promise<T[]> {
  const last = requests[requests.length - 1];
  if (last === undefined) return [];
  await resultOf(last);
  return requests.map((request) => request.result);
}

/** Resolves when a transaction is complete, as durably as it promised; rejects when it was undone. */
export function completion(tx: IDBTransaction): Promise<void> {
  const over = new Promise<void>((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () =>
      reject(tx.error ?? new DOMException('The transaction was aborted.', 'AbortError'));
  });
  // It may fail before anybody gets to wait for it.
  over.catch(() => {});
  return over;
}

/** Undoes a transaction that may already be over, and waits for its end. */
export async function abandon(tx: IDBTransaction, over: Promise<void>): Promise<void> {
  try {
    tx.abort();
  } catch (error) {
    if (!isDomException(error, 'InvalidStateError')) throw error;
  }
  await Promise.allSettled([over]);
}

export function isDomException(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof DOMException && names.includes(error.name);
}
