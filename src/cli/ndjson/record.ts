import type { Change, Entry, EntryHead, Meta } from '../../store/entry.ts';
import { asText } from '../values.ts';

/**
 * One entry as a line of NDJSON. `value` is the stored JSON itself where the bytes are JSON as
 * `JSON.stringify` writes it; else a string, marked with its `encoding`. Either way the bytes come
 * back exactly.
 */
export interface EntryRecord {
  readonly key: string;
  readonly value: unknown;
  readonly encoding?: 'text' | 'base64';
  readonly expiresAt?: number;
  readonly meta?: Meta;
  readonly immutable?: true;
  readonly modifiedAt?: number;
}

/** The line of an entry, without the newline. */
export function entryLine(entry: Entry<Uint8Array>): string {
  return `{"key":${JSON.stringify(entry.key)},${valueFields(entry.value)}${tail(entry, false)}}`;
}

/** As `entryLine`, with `version` and `rev`, which are of this store only and not imported. */
export function fullEntryLine(entry: Entry<Uint8Array>): string {
  return `{"key":${JSON.stringify(entry.key)},${valueFields(entry.value)}${tail(entry, true)}}`;
}

/** An entry without its value. */
export function headLine(head: EntryHead): string {
  return `{"key":${JSON.stringify(head.key)}${tail(head, true)}}`;
}

/** One change of a commit. */
export function changeJson(change: Change<Uint8Array>): string {
  if (change.type === 'delete')
    return `{"type":"delete","key":${JSON.stringify(change.key)},"rev":${change.rev}}`;
  return `{"type":"set",${fullEntryLine(change).slice(1)}`;
}

/** The bytes of a value as the fields `value` and, where needed, `encoding`. */
function valueFields(value: Uint8Array): string {
  const text = asText(value);
  if (text === undefined)
    return `"value":${JSON.stringify(Buffer.from(value).toString('base64'))},"encoding":"base64"`;
  if (isCanonicalJson(text)) return `"value":${text}`;
  return `"value":${JSON.stringify(text)},"encoding":"text"`;
}

function isCanonicalJson(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

function tail(head: EntryHead, own: boolean): string {
  const { expiresAt, meta, immutable, modifiedAt, version, rev } = head;
  const fields = JSON.stringify({
    expiresAt,
    meta,
    immutable,
    modifiedAt,
    ...(own && { version, rev }),
  }).slice(1, -1);
  return fields === '' ? '' : `,${fields}`;
}
