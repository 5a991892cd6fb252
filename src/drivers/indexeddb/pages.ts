import { changeBytes } from '../../store/feed/commit-log.ts';
import { compareKeys, type KeyRange } from '../../store/keys.ts';
import { resultOf } from './requests.ts';
import { encodeKey, type Stored } from './schema.ts';

const FIRST_PAGE = 16;
const MAX_PAGE = 2_048;
/** What a page is to hold, by estimate. */
const PAGE_BYTES = 1024 * 1024;

/** How many records to read at a time, by the size of those that came last. */
export class PageSize {
  count: number = FIRST_PAGE;

  adapt(records: readonly Stored<unknown>[]): void {
    if (records.length === 0) return;
    let bytes = 0;
    for (const record of records) bytes += changeBytes(record.key, record.value);
    const fitting = Math.floor((PAGE_BYTES * records.length) / bytes);
    this.count = Math.max(1, Math.min(MAX_PAGE, this.count * 4, fitting));
  }
}

/** Key ranges of a walk through a range, each beginning after the last key seen; `undefined` when nothing is left. */
export function rangeAfter(range: KeyRange, after: string | undefined): IDBKeyRange | undefined {
  let { lower, upper } = range;
  if (after !== undefined) {
    if (range.reverse) upper = { key: after, inclusive: false };
    else lower = { key: after, inclusive: false };
  }
  const low = encodeKey(lower?.key ?? '');
  if (upper === undefined) return IDBKeyRange.lowerBound(low, lower?.inclusive === false);
  const order = compareKeys(lower?.key ?? '', upper.key);
  const open = lower?.inclusive === false || !upper.inclusive;
  if (order > 0 || (order === 0 && open)) return undefined;
  return IDBKeyRange.bound(low, encodeKey(upper.key), lower?.inclusive === false, !upper.inclusive);
}

type PageMethod = 'getAll' | 'getAllKeys';

/** One page of values or keys in key order, or backwards. */
export function readPage<T>(
  from: IDBObjectStore,
  method: PageMethod,
  query: IDBKeyRange,
  count: number,
  reverse: boolean,
): Promise<T[]> {
  if (!reverse) return resultOf(from[method](query, count) as IDBRequest<T[]>);
  // Browsers that have `getAllRecords` also take these options here; type libraries do not know it yet.
  if ('getAllRecords' in from) {
    const options = { query, count, direction: 'prev' } as unknown as IDBKeyRange;
    return resultOf(from[method](options) as IDBRequest<T[]>);
  }
  return readBackwards(from, method, query, count);
}

function readBackwards<T>(
  from: IDBObjectStore,
  method: PageMethod,
  query: IDBKeyRange,
  count: number,
): Promise<T[]> {
  const page: T[] = [];
  const request =
    method === 'getAll' ? from.openCursor(query, 'prev') : from.openKeyCursor(query, 'prev');
  return new Promise((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor !== null) page.push(('value' in cursor ? cursor.value : cursor.primaryKey) as T);
      if (cursor === null || page.length === count) resolve(page);
      else cursor.continue();
    };
  });
}
