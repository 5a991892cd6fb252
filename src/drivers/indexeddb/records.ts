import { compareKeys } from '../../store/keys.ts';
import { PageSize } from './pages.ts';
import { resultOf, resultsOf } from './requests.ts';
import { decodeKey, encodeKey, type Stored } from './schema.ts';

/** Up to this many keys are simply asked for one by one. */
export const FEW_KEYS = 64;
/** A listing of keys costs a tenth of asking for each: worth it while it holds at most this many times the keys wanted. */
const LISTING_FACTOR = 8;
/** Whole pages cost a quarter of single reads: worth it while at most half of them is unwanted. */
const DENSE_FACTOR = 2;

/** Asks for every key at once. */
export function requestRecords<V>(
  entries: IDBObjectStore,
  keys: readonly string[],
): IDBRequest<Stored<V> | undefined>[] {
  return keys.map((key) => entries.get(encodeKey(key)) as IDBRequest<Stored<V> | undefined>);
}

/** What is stored under some keys. */
export interface FoundRecords<V> {
  readonly records: ReadonlyMap<string, Stored<V>>;
  /** Every key from the least to the greatest of them, in order, where that was found out. */
  readonly neighbours?: readonly string[];
}

/**
 * The records under many keys, of which most may not exist: a request costs far more than what it
 * brings, so the keys between the least and the greatest are listed first, and records that lie
 * close together are read in pages.
 */
export async function readRecords<V>(
  entries: IDBObjectStore,
  keys: readonly string[],
): Promise<FoundRecords<V>> {
  const first = keys[0];
  if (first === undefined || keys.length <= FEW_KEYS)
    return { records: await readEach(entries, keys) };
  let least = first;
  let greatest = first;
  for (const key of keys) {
    if (compareKeys(key, least) < 0) least = key;
    else if (compareKeys(key, greatest) > 0) greatest = key;
  }
  const span = IDBKeyRange.bound(encodeKey(least), encodeKey(greatest));
  const bound = keys.length * LISTING_FACTOR;
  const listed = await resultOf(entries.getAllKeys(span, bound + 1));
  if (listed.length > bound) return { records: await readEach(entries, keys) };
  const neighbours = listed.map(decodeKey);
  const present = new Set(neighbours);
  const wanted = new Set(keys.filter((key) => present.has(key)));
  const records =
    present.size > wanted.size * DENSE_FACTOR
      ? await readEach<V>(entries, [...wanted])
      : await readDense<V>(entries, span, wanted);
  return { records, neighbours };
}

async function readEach<V>(
  entries: IDBObjectStore,
  keys: readonly string[],
): Promise<Map<string, Stored<V>>> {
  const found = new Map<string, Stored<V>>();
  for (const record of await resultsOf(requestRecords<V>(entries, keys)))
    if (record !== undefined) found.set(record.key, record);
  return found;
}

async function readDense<V>(
  entries: IDBObjectStore,
  span: IDBKeyRange,
  wanted: ReadonlySet<string>,
): Promise<Map<string, Stored<V>>> {
  const found = new Map<string, Stored<V>>();
  const size = new PageSize();
  for (let range = span; ; ) {
    const page = await resultOf(entries.getAll(range, size.count) as IDBRequest<Stored<V>[]>);
    for (const record of page) if (wanted.has(record.key)) found.set(record.key, record);
    const last = page[page.length - 1];
    if (last === undefined || found.size === wanted.size) return found;
    range = IDBKeyRange.bound(encodeKey(last.key), span.upper, true);
    size.adapt(page);
  }
}
