import type { SetWrite, Write } from '../../store/primitives.ts';
import { approximateBytes } from './approximate-bytes.ts';
import { type Documents, damaged, type KeyedValue } from './documents.ts';
import type { JournalRecord, JournalSet, JournalWrite } from './journal.ts';
import type { JournalStore } from './journal-store.ts';
import { type JournalKeys, partKey } from './keys.ts';

/** A record as its document has it. */
interface RecordBody {
  readonly seq: number;
  readonly id: string;
  readonly epoch: string;
  /** Without values; absent for what is left of the newest record when it is dropped. */
  readonly writes?: readonly JournalWriteHead[];
}

/** A write without its value. */
export type JournalWriteHead = Exclude<JournalWrite<never>, JournalSet<never>> | SetHead;
type SetHead = Omit<JournalSet<never>, 'value'>;

/** Names a record. */
export type RecordName = Pick<JournalRecord<never>, 'seq' | 'id' | 'epoch'>;

/** A record that is about to be written. */
export interface Draft<V> {
  readonly record: JournalRecord<V>;
  /** Where it is kept; more than one where it is too long for one. */
  readonly keys: readonly string[];
  readonly writes: readonly Write<unknown>[];
}

/** A record as it was found. */
export interface Found<V> extends JournalRecord<V> {
  /** Only its name is left: it was dropped when it was the newest. */
  readonly dropped: boolean;
  readonly parts: number;
}

/** Makes the writes that keep a record. Errors: `invalid-argument` for a value that cannot be kept. */
export function draftRecord<V>(
  { documents, partBytes }: JournalStore<V>,
  keys: JournalKeys,
  operation: string,
  name: RecordName,
  writes: readonly JournalWrite<V>[],
): Draft<V> {
  const { seq, id, epoch } = name;
  const { heads, values } = takeApart(writes);
  const body: RecordBody = { seq, id, epoch, writes: heads };
  const { stored, bytes } = documents.pack(operation, body, values);
  const sets = inParts(keys.record(seq), stored, partBytes);
  return {
    record: { seq, id, epoch, writes, bytes },
    keys: sets.map(({ key }) => key),
    writes: sets.map((set) => ({ ...set, if: 'absent' })),
  };
}

/** Keeps the name of a record in its place. */
export function nameWrite(
  { documents }: JournalStore<unknown>,
  keys: JournalKeys,
  { seq, id, epoch }: RecordName,
): Write<unknown> {
  const body: RecordBody = { seq, id, epoch };
  return { type: 'set', key: keys.record(seq), value: documents.pack('drop', body).stored };
}

/** Errors: `corrupt`, and those of `Documents.unpack`. */
export function readRecord<V>(
  documents: Documents<V>,
  seq: number,
  parts: readonly unknown[],
): Found<V> {
  const { stored, bytes } = join(parts);
  const { body, values } = documents.unpack(stored);
  const { seq: written, id, epoch, writes } = body as Partial<RecordBody>;
  if (written !== seq) throw damaged(`the record ${seq} calls itself ${written}`);
  if (typeof id !== 'string' || typeof epoch !== 'string')
    throw damaged(`the record ${seq} has no name`);
  if (writes !== undefined && !(Array.isArray(writes) && writes.every(isWrite)))
    throw damaged(`the record ${seq} holds something else than writes`);
  return {
    seq,
    id,
    epoch,
    writes: writes === undefined ? [] : putTogether(writes, values),
    bytes,
    dropped: writes === undefined,
    parts: parts.length,
  };
}

function isWrite(head: Partial<JournalWriteHead> | null): boolean {
  return typeof head?.key === 'string' && (head.type === 'set' || head.type === 'delete');
}

/** Values apart from what is known of their writes. */
export function takeApart<V>(writes: readonly JournalWrite<V>[]): {
  readonly heads: readonly JournalWriteHead[];
  readonly values: readonly KeyedValue<V>[];
} {
  const values: KeyedValue<V>[] = [];
  const heads = writes.map((write): JournalWriteHead => {
    if (write.type === 'delete') return write;
    const { value, ...head } = write;
    values.push({ key: write.key, value });
    return head;
  });
  return { heads, values };
}

/** Errors: `corrupt` where values and writes do not fit together. */
export function putTogether<V>(
  heads: readonly JournalWriteHead[],
  values: readonly V[],
): readonly JournalWrite<V>[] {
  let next = 0;
  const writes = heads.map((head): JournalWrite<V> => {
    if (head.type === 'delete') return head;
    return { ...head, value: values[next++] as V };
  });
  if (next !== values.length) throw damaged(`${values.length} values for ${next} sets`);
  return writes;
}

/** The sets that keep a document, in parts where it is too long. */
export function inParts(key: string, stored: unknown, partBytes: number): SetWrite<unknown>[] {
  const parts = stored instanceof Uint8Array ? split(stored, partBytes) : [stored];
  return parts.map((value, part) => ({ type: 'set', key: partKey(key, part), value }));
}

function split(bytes: Uint8Array, partBytes: number): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += partBytes)
    parts.push(bytes.subarray(at, at + partBytes));
  return parts;
}

/** A document from its parts, and its size. */
export function join(parts: readonly unknown[]): {
  readonly stored: unknown;
  readonly bytes: number;
} {
  const chunks = parts.filter((part) => part instanceof Uint8Array);
  if (chunks.length === 0) return { stored: parts[0], bytes: approximateBytes(parts[0]) };
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  if (chunks.length === 1) return { stored: chunks[0], bytes };
  const stored = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    stored.set(chunk, at);
    at += chunk.length;
  }
  return { stored, bytes };
}
