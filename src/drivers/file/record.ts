import { crc32 } from 'node:zlib';
import type { EntryHead } from '../../store/entry.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import {
  Envelope,
  type EnvelopeFields,
  type EnvelopeIo,
  encodeEnvelope,
} from '../../store/feed/envelope.ts';

/*
 * What a file holds. Numbers are big-endian.
 *
 *   0  magic            4 bytes  SKVF
 *   4  checksum         u32   CRC-32 of everything from here to the value
 *   8  format           u8    1
 *   9  value's checksum u32   CRC-32
 *  13  value's length   u48
 *  19  key's length     u16
 *  21  envelope's length u32
 *  25  key              UTF-8
 *      envelope         version, times, metadata; without a value
 *      value            the rest
 */
const MAGIC: Uint8Array = Buffer.from('SKVF');
const FORMAT = 1;
const FIXED_BYTES = 25;
const NOTHING: Uint8Array = new Uint8Array(0);

const ENVELOPES: EnvelopeIo = {
  checksum: (bytes) => crc32(bytes),
  alloc: (length) => new Uint8Array(length),
};

/** Enough of a file to hold what stands before the value, in nearly all cases. */
export const HEAD_BYTES = 1024;

/** What an entry's file says beside the value: all of `EnvelopeFields` but the place in a history. */
export type RecordFields = Omit<EnvelopeFields, 'rev' | 'pos'>;

/** What stands before the value in the file of an entry. */
export function encodeHead(key: string, fields: RecordFields, value: Uint8Array): Uint8Array {
  const keyBytes = Buffer.from(key);
  const stamped = { ...fields, rev: 0, pos: 0 };
  const envelope = encodeEnvelope(ENVELOPES, stamped, NOTHING);
  const bytes = Buffer.alloc(FIXED_BYTES + keyBytes.length + envelope.length);
  bytes.set(MAGIC, 0);
  bytes.writeUInt8(FORMAT, 8);
  bytes.writeUInt32BE(crc32(value), 9);
  bytes.writeUIntBE(value.length, 13, 6);
  bytes.writeUInt16BE(keyBytes.length, 19);
  bytes.writeUInt32BE(envelope.length, 21);
  bytes.set(keyBytes, FIXED_BYTES);
  bytes.set(envelope, FIXED_BYTES + keyBytes.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** What stands before the value, checked. */
export class RecordHead {
  readonly key: string;
  readonly #envelope: Envelope;
  readonly #valueAt: number;
  readonly #valueLength: number;
  readonly #valueChecksum: number;
  readonly #path: string;

  private constructor(path: string, bytes: Buffer, keyEnd: number, headEnd: number) {
    this.#path = path;
    this.key = bytes.toString('utf8', FIXED_BYTES, keyEnd);
    this.#envelope = new Envelope(ENVELOPES, this.key, bytes.subarray(keyEnd, headEnd));
    this.#valueAt = headEnd;
    this.#valueLength = bytes.readUIntBE(13, 6);
    this.#valueChecksum = bytes.readUInt32BE(9);
  }

  /**
   * Reads the beginning of a file of `size` bytes; a number says how many bytes are needed for that.
   * Errors: `corrupt` for what is no whole file of this key (of any, where none is given).
   */
  static read(path: string, given: Uint8Array, size: number, key?: string): RecordHead | number {
    const bytes = Buffer.from(given.buffer, given.byteOffset, given.length);
    const bad = (why: string): StrataError => corrupt(path, key, why);
    if (size < FIXED_BYTES) throw bad(`${size} bytes are too few`);
    if (!bytes.subarray(0, 4).equals(MAGIC)) throw bad('it does not begin as an entry does');
    const keyEnd = FIXED_BYTES + bytes.readUInt16BE(19);
    const headEnd = keyEnd + bytes.readUInt32BE(21);
    if (headEnd > size) throw bad('it has lost its end');
    if (headEnd > bytes.length) return headEnd;
    // The checksum first: a flipped format byte is damage, not a newer format.
    if (crc32(bytes.subarray(8, headEnd)) !== bytes.readUInt32BE(4))
      throw bad('the checksum of its head does not match');
    if (bytes[8] !== FORMAT) throw bad(`its format is ${bytes[8]}; this version reads ${FORMAT}`);
    const head = new RecordHead(path, bytes, keyEnd, headEnd);
    if (key !== undefined && head.key !== key)
      throw bad(`it holds the key ${JSON.stringify(head.key)}`);
    if (size !== headEnd + head.#valueLength)
      throw bad(`it has ${size} bytes and should have ${headEnd + head.#valueLength}`);
    return head;
  }

  get expiresAt(): number | undefined {
    return this.#envelope.expiresAt;
  }

  get immutable(): boolean {
    return this.#envelope.immutable;
  }

  /** Everything of the entry but its value. */
  entryHead(): EntryHead {
    const { rev: _, ...head } = this.#envelope.head();
    return head;
  }

  /** The value, out of the whole file; damage fails with `corrupt`. */
  value(file: Uint8Array): Uint8Array {
    const value = new Uint8Array(file.buffer, file.byteOffset + this.#valueAt, this.#valueLength);
    if (crc32(value) !== this.#valueChecksum)
      throw corrupt(this.#path, this.key, 'the checksum of its value does not match');
    return value;
  }
}

function corrupt(path: string, key: string | undefined, why: string): StrataError {
  const what = key === undefined ? 'an entry' : JSON.stringify(key);
  return failure('corrupt', 'read', `the file of ${what} is damaged: ${why} (${path})`, { key });
}
