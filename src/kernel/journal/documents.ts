import { crc32 } from '../../store/checksum.ts';
import type { Codec } from '../../store/codec.ts';
import { failure, invalidArgument, isStrataError, type StrataError } from '../../store/errors.ts';
import { approximateBytes } from './approximate-bytes.ts';

/*
 * What a journal keeps (records, dead letters, notes) are documents: a body of JSON and some values.
 * In a store of bytes a document is
 *
 *   0  checksum  u32   CRC-32 of everything after it, big-endian
 *   4  format    u8    1
 *   5  head      u32   length, then JSON in UTF-8: body, codec and sizes of the values
 *      values          one after the other
 *
 * and in a store of any values an object with the same parts.
 */
const FORMAT = 1;
const HEAD_AT = 9;
const RAW = 'raw';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** A document in a store of any values. */
interface PlainDocument {
  readonly format: number;
  readonly body: unknown;
  readonly values: readonly unknown[];
}

interface Head {
  readonly body: unknown;
  /** Absent where there are no values. */
  readonly codec?: string;
  readonly sizes?: readonly number[];
}

export interface Packed {
  readonly stored: unknown;
  readonly bytes: number;
}

export interface Unpacked<V> {
  readonly body: unknown;
  readonly values: readonly V[];
}

/** A value and the key that it is written to, for errors. */
export interface KeyedValue<V> {
  readonly key: string;
  readonly value: V;
}

/** Makes documents of one form, and reads those of either. */
export class Documents<V> {
  readonly #form: 'bytes' | 'plain';
  readonly #codec: Codec<V> | undefined;

  constructor(form: 'bytes' | 'plain', codec: Codec<V> | undefined) {
    this.#form = form;
    this.#codec = codec;
  }

  /** Errors: `invalid-argument` for a value that cannot be kept. */
  pack(operation: string, body: unknown, values: readonly KeyedValue<V>[] = []): Packed {
    if (this.#form === 'plain') {
      const plain: PlainDocument = {
        format: FORMAT,
        body,
        values: values.map(({ value }) => value),
      };
      return { stored: plain, bytes: approximateBytes(plain) };
    }
    const encoded = values.map((value) => this.#encode(operation, value));
    const sizes = encoded.map(({ length }) => length);
    const head: Head =
      values.length === 0 ? { body } : { body, codec: this.#codec?.name ?? RAW, sizes };
    const stored = toBytes(encoder.encode(JSON.stringify(head)), encoded);
    return { stored, bytes: stored.length };
  }

  /**
   * Errors: `corrupt`; `unsupported` for a newer format; `invalid-argument` where the values were
   * written with another codec.
   */
  unpack(stored: unknown): Unpacked<V> {
    if (!(stored instanceof Uint8Array)) return unpackPlain(stored);
    const { head, end } = readHead(stored);
    const { body, codec, sizes = [] } = head;
    const known = this.#codec?.name ?? RAW;
    if (codec !== undefined && codec !== known)
      throw invalidArgument(
        'open',
        'the codec of the journal',
        known,
        `${codec}, as when its records were written`,
      );
    let at = end;
    const values = sizes.map((size) => {
      at += size;
      return this.#decode(stored.slice(at - size, at));
    });
    if (at !== stored.length) throw damaged(`${stored.length} bytes are not ${at}`);
    return { body, values };
  }

  #encode(operation: string, { key, value }: KeyedValue<V>): Uint8Array {
    if (this.#codec === undefined) {
      if (value instanceof Uint8Array) return value;
      throw invalidArgument(
        operation,
        `the value of ${JSON.stringify(key)}`,
        value,
        'bytes, or a codec (such as json()) for the journal, whose store holds bytes',
        key,
      );
    }
    try {
      return this.#codec.encode(value);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const code = isStrataError(cause) ? cause.code : 'invalid-argument';
      throw failure(
        code,
        operation,
        `the journal cannot keep the value of ${JSON.stringify(key)}: ${why}`,
        { key, cause },
      );
    }
  }

  #decode(bytes: Uint8Array): V {
    if (this.#codec === undefined) return bytes as V;
    let value: V;
    try {
      value = this.#codec.decode(bytes);
    } catch (cause) {
      throw damaged(`the codec ${this.#codec.name} cannot read a value`, cause);
    }
    if (value === undefined)
      throw damaged(`the codec ${this.#codec.name} reads a value as nothing`);
    return value;
  }
}

function toBytes(head: Uint8Array, values: readonly Uint8Array[]): Uint8Array {
  const length = values.reduce((sum, value) => sum + value.length, HEAD_AT + head.length);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes[4] = FORMAT;
  view.setUint32(5, head.length);
  bytes.set(head, HEAD_AT);
  let at = HEAD_AT + head.length;
  for (const value of values) {
    bytes.set(value, at);
    at += value.length;
  }
  view.setUint32(0, crc32(bytes.subarray(4)));
  return bytes;
}

function readHead(bytes: Uint8Array): { readonly head: Head; readonly end: number } {
  if (bytes.length < HEAD_AT) throw damaged(`${bytes.length} bytes are too few`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (crc32(bytes.subarray(4)) !== view.getUint32(0)) throw damaged('its checksum does not match');
  checkFormat(bytes[4]);
  const end = HEAD_AT + view.getUint32(5);
  let head: Partial<Head> | null;
  try {
    head = JSON.parse(decoder.decode(bytes.subarray(HEAD_AT, end))) as Partial<Head> | null;
  } catch (cause) {
    throw damaged('its head is no JSON', cause);
  }
  if (
    head === null ||
    typeof head !== 'object' ||
    !isObject(head.body) ||
    !Array.isArray(head.sizes ?? [])
  )
    throw damaged('its head is not what a journal writes');
  return { head: head as Head, end };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function unpackPlain<V>(stored: unknown): Unpacked<V> {
  const { format, body, values } = (stored ?? {}) as Partial<PlainDocument>;
  if (!Array.isArray(values) || !isObject(body)) throw damaged('it is not what a journal writes');
  checkFormat(format);
  return { body, values };
}

function checkFormat(format: unknown): void {
  if (format !== FORMAT)
    throw failure(
      'unsupported',
      'open',
      `the journal was written in the format ${format}; this version reads ${FORMAT}`,
    );
}

/** What stands in the journal's place is not what was written there. */
export function damaged(why: string, cause?: unknown): StrataError {
  return failure('corrupt', 'open', `what the journal holds is damaged: ${why}`, { cause });
}
