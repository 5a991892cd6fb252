import type { Call } from '../../store/call.ts';
import { isStrataError, type StrataError } from '../../store/errors.ts';
import { damaged } from './documents.ts';
import type { JournalStore } from './journal-store.ts';
import { type JournalKeys, parsePart } from './keys.ts';
import { within } from './patience.ts';
import { type Found, readRecord } from './records.ts';

/** So many keys are read at once. */
const PAGE_KEYS = 64;

/** A record that cannot be read. */
export interface Damaged {
  readonly seq: number;
  readonly error: StrataError;
  /** What stands in its place; absent where the store itself cannot read it. */
  readonly entries?: readonly (readonly [key: string, stored: unknown])[];
}

/** Everything that stands under the keys of records, in order. */
export interface Records<V> {
  readonly found: readonly Found<V>[];
  readonly damaged: readonly Damaged[];
  /** The highest number that was ever used, as far as can be seen. */
  readonly lastSeq: number;
}

/** The parts of one document, as they were found. */
export interface Parts {
  readonly key: string;
  readonly keys: readonly string[];
  readonly stored: readonly unknown[];
  /** Set where one of them is gone, or the store cannot read it. */
  readonly error?: StrataError;
}

/** Reads every record. Errors: those of the store but `corrupt`; `invalid-argument` for another codec; `unsupported`. */
export async function readRecords<V>(
  store: JournalStore<V>,
  keys: JournalKeys,
  call: Call,
): Promise<Records<V>> {
  const found: Found<V>[] = [];
  const broken: Damaged[] = [];
  let lastSeq = 0;
  for await (const parts of documents(store, keys.records, call)) {
    const seq = Number(parts.key.slice(keys.records.length));
    if (!Number.isSafeInteger(seq)) continue;
    lastSeq = seq;
    const read = readParts(store, seq, parts);
    if ('error' in read) broken.push(read);
    else found.push(read);
  }
  return { found, damaged: broken, lastSeq };
}

function readParts<V>(store: JournalStore<V>, seq: number, parts: Parts): Found<V> | Damaged {
  const { keys, stored, error } = parts;
  const entries = keys.map((key, i) => [key, stored[i]] as const);
  const readable = entries.every(([, value]) => value !== undefined);
  if (error !== undefined) return { seq, error, ...(readable && { entries }) };
  try {
    return readRecord(store.documents, seq, stored);
  } catch (cause) {
    if (!isStrataError(cause, 'corrupt')) throw cause;
    return { seq, error: cause, entries };
  }
}

/** Every document with a prefix, in the order of the keys, those included that the store cannot read. */
export async function* documents(
  store: JournalStore<unknown>,
  prefix: string,
  call: Call,
): AsyncGenerator<Parts> {
  let parts: { key: string; keys: string[]; stored: unknown[]; error?: StrataError } | undefined;
  for await (const { key, stored, error } of entries(store, prefix, call)) {
    const at = parsePart(key);
    if (at.key !== parts?.key) {
      if (parts !== undefined) yield parts;
      parts = { key: at.key, keys: [], stored: [] };
    }
    const gone = at.part === parts.keys.length ? undefined : damaged(`a part of ${at.key} is gone`);
    const wrong = parts.error ?? error ?? gone;
    if (wrong !== undefined) parts.error = wrong;
    parts.keys.push(key);
    parts.stored.push(stored);
  }
  if (parts !== undefined) yield parts;
}

interface Read {
  readonly key: string;
  readonly stored?: unknown;
  readonly error?: StrataError;
}

/** Entries with a prefix, those included that the store cannot read. */
async function* entries(
  store: JournalStore<unknown>,
  prefix: string,
  call: Call,
): AsyncGenerator<Read> {
  let page: string[] = [];
  for await (const key of store.keys(prefix, call)) {
    page.push(key);
    if (page.length < PAGE_KEYS) continue;
    yield* await readPage(store, page, call);
    page = [];
  }
  yield* await readPage(store, page, call);
}

async function readPage(
  store: JournalStore<unknown>,
  keys: readonly string[],
  call: Call,
): Promise<readonly Read[]> {
  try {
    const found = await within(call, store.primitives.readMany(keys, call));
    return keys.flatMap((key, i) =>
      found[i] === undefined ? [] : { key, stored: found[i].value },
    );
  } catch (error) {
    if (!isStrataError(error, 'corrupt')) throw error;
    if (keys.length === 1) return [{ key: keys[0] as string, error }];
  }
  const read: Read[] = [];
  for (const key of keys) read.push(...(await readPage(store, [key], call)));
  return read;
}
