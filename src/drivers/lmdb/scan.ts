import type { RangeOptions } from 'lmdb';
import { MAX_KEY_BYTES } from '../../store/capabilities.ts';
import type { Entry } from '../../store/entry.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import { type KeyRange, RESERVED_PREFIX } from '../../store/keys.ts';
import { ENVELOPES } from './envelope-io.ts';
import { isExpired, type Reader } from './reader.ts';

const PAGE_ENTRIES = 256;
/** A page ends early when its entries reach this. */
const PAGE_BYTES: number = 1024 * 1024;

/** In UTF-16 units: more bytes than a key may have, also when every unit is one, and few enough for LMDB when each is three. */
const LONGEST_BOUND: number = MAX_KEY_BYTES + 130;

/** A page of a range, and where the next one begins; without `after` there is none. */
interface Page<T> {
  readonly items: readonly T[];
  readonly after: string | undefined;
}

/** The entries of a range in pages, each of one moment. */
export function scanEntries(
  reader: Reader,
  operation: string,
  range: KeyRange,
): Generator<readonly Entry<Uint8Array>[]> {
  const read = (after: string | undefined, limit: number): Page<Entry<Uint8Array>> => {
    const nowMs = reader.nowMs();
    const items: Entry<Uint8Array>[] = [];
    let bytes = 0;
    for (const { key, value } of reader.range(reader.tables.values, toOptions(range, after))) {
      if (isLeftOut(key, range, after)) continue;
      // The binding has copied the bytes for us; a plain array of them is handed out.
      const stored = new Uint8Array(value.buffer, value.byteOffset, value.length);
      const envelope = new Envelope(ENVELOPES, key, stored);
      if (isExpired(envelope, nowMs)) continue;
      items.push({ ...envelope.head(), value: envelope.value });
      bytes += value.length;
      if (items.length >= limit || bytes >= PAGE_BYTES) return { items, after: key };
    }
    return { items, after: undefined };
  };
  return pages(reader, operation, range, read);
}

/** The keys of a range in pages, each of one moment. */
export function scanKeys(
  reader: Reader,
  operation: string,
  range: KeyRange,
): Generator<readonly string[]> {
  const read = (after: string | undefined, limit: number): Page<string> => {
    const keys: string[] = [];
    let last: string | undefined;
    for (const key of reader.keys(reader.tables.values, toOptions(range, after))) {
      if (isLeftOut(key, range, after)) continue;
      keys.push(key);
      if (keys.length < limit) continue;
      last = key;
      break;
    }
    // Values are looked at only while something has expired that is not swept yet.
    const nowMs = reader.nowMs();
    const items = reader.anyExpired(nowMs)
      ? keys.filter((key) => isLive(reader, key, nowMs))
      : keys;
    return { items, after: last };
  };
  return pages(reader, operation, range, read);
}

function isLive(reader: Reader, key: string, nowMs: number): boolean {
  const envelope = reader.envelope(key);
  return envelope !== undefined && !isExpired(envelope, nowMs);
}

function* pages<T>(
  reader: Reader,
  operation: string,
  { limit, upper }: KeyRange,
  read: (after: string | undefined, limit: number) => Page<T>,
): Generator<readonly T[]> {
  let after: string | undefined;
  let left = upper?.key === '' ? 0 : limit;
  do {
    if (left <= 0) return;
    const page = reader.run(operation, () => read(after, Math.min(PAGE_ENTRIES, left)));
    left -= page.items.length;
    after = page.after;
    if (page.items.length > 0) yield page.items;
  } while (after !== undefined);
}

/** Bounds as the binding takes them; the first key may be one to leave out. */
function toOptions({ lower, upper, reverse }: KeyRange, after: string | undefined): RangeOptions {
  // LMDB has no empty key.
  const from = lower?.key === '' ? undefined : lower;
  const least = toBound(from?.key ?? RESERVED_PREFIX);
  if (reverse) {
    const start = after ?? (upper && toBound(upper.key));
    const inclusiveEnd = from?.inclusive ?? true;
    // Without a start the last key is where it begins.
    return { reverse, start: start as string, end: least, inclusiveEnd };
  }
  const end = upper && { end: toBound(upper.key), inclusiveEnd: upper.inclusive };
  return { start: after ?? least, ...end };
}

/** A bound may be longer than any key, and than LMDB takes: its beginning then parts the keys alike. */
function toBound(key: string): string {
  if (key.length <= LONGEST_BOUND) return key;
  const lastUnit = key.charCodeAt(LONGEST_BOUND - 1);
  const cutsPair = lastUnit >= 0xd800 && lastUnit < 0xdc00;
  return key.slice(0, cutsPair ? LONGEST_BOUND - 1 : LONGEST_BOUND);
}

function isLeftOut(key: string, { lower, upper, reverse }: KeyRange, after?: string): boolean {
  if (key === after) return true;
  const first = reverse ? upper : lower;
  return first !== undefined && !first.inclusive && key === first.key;
}
