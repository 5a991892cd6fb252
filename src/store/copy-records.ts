import { type KeyRange, prefixBounds, RESERVED_PREFIX } from './keys.ts';

/**
 * Here replication keeps how far a store is a copy of which source: a record for each copied prefix,
 * under that prefix. `clear` removes it with what it tells of: what was emptied is no copy any more.
 */
export const COPY_RECORDS: string = `${RESERVED_PREFIX}sync/`;

/** Where the records are. */
export function copyRecordsRange(): KeyRange {
  return { ...prefixBounds(COPY_RECORDS), reverse: false, limit: Number.POSITIVE_INFINITY };
}

/** Whether a record, by its key, tells of keys that begin with a prefix. */
export function tellsOf(recordKey: string, prefix: string): boolean {
  const copied = recordKey.slice(COPY_RECORDS.length);
  return copied.startsWith(prefix) || prefix.startsWith(copied);
}
