import type { ItemHead } from '../../kernel/items/item-port.ts';
import { lineAfter, MOST_REPLACED, versionsOf } from '../../kernel/items/line.ts';
import { crc32 } from '../../store/checksum.ts';
import type { EntryHead } from '../../store/entry.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import {
  Envelope,
  type EnvelopeFields,
  type EnvelopeIo,
  encodeEnvelope,
  WRITE_ID_RANGE,
} from '../../store/feed/envelope.ts';
import { utf8Length } from '../../store/keys.ts';
import { WRITE_ID_BYTES } from '../../store/version.ts';

/*
 * What an object holds. Numbers are big-endian.
 *
 *   0  magic            4 bytes  SKVO
 *   4  checksum         u32   CRC-32 of everything from here to the value
 *   8  format           u8    1
 *   9  kind             u8    see KIND
 *  10  value's checksum u32   CRC-32
 *  14  value's length   u48
 *  20  key's length     u16
 *  22  envelope's length u32
 *  26  replaced         u8    how many write ids follow
 *  27  write ids        16 bytes each: of what it took the place of, of what that had, and so on
 *      key              UTF-8
 *      envelope         version, times, metadata; without a value
 *      value
 *      zeros            so many that the length of the object, divided by 4, leaves its kind
 */
const MAGIC: Uint8Array = new TextEncoder().encode('SKVO');
const FORMAT = 1;
const FIXED_BYTES = 27;
/** What is left of a deleted key has at most so many bytes beside the key. */
const MOST_MARK_BYTES: number = FIXED_BYTES + MOST_REPLACED * WRITE_ID_BYTES + 38 + 3;
const NOTHING: Uint8Array = new Uint8Array(0);

/** What an object stands for. A listing tells it too, as the length's rest: no object need be read to leave it out. */
export const KIND = { lasting: 0, expiring: 1, deleted: 2 } as const;
type Kind = (typeof KIND)[keyof typeof KIND];

const ENVELOPES: EnvelopeIo = { checksum: crc32, alloc: (length) => new Uint8Array(length) };
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Enough of an object to hold what stands before the value, in nearly all cases. */
export const HEAD_BYTES = 1024;

/** What an object says beside the value: all of `EnvelopeFields` but the place in a history, and what it replaces. */
export interface RecordFields extends Omit<EnvelopeFields, 'rev' | 'pos'> {
  readonly replaced: ObjectHead | undefined;
}

/** The kind of an object of this length. */
export function kindOf(size: number): number {
  return size % 4;
}

/** Whether an object of this length is what is left of a deleted key: nothing longer than that is left out unread. */
export function isDeletion(key: string, size: number): boolean {
  return kindOf(size) === KIND.deleted && size <= MOST_MARK_BYTES + utf8Length(key);
}

/** The whole object of an entry. */
export function encodeEntry(key: string, fields: RecordFields, value: Uint8Array): Uint8Array {
  return encode(key, fields, value, fields.expiresAt === undefined ? KIND.lasting : KIND.expiring);
}

/** The object that stands for a deleted key. */
export function encodeDeletion(key: string, fields: RecordFields): Uint8Array {
  return encode(key, fields, NOTHING, KIND.deleted);
}

function encode(key: string, fields: RecordFields, value: Uint8Array, kind: Kind): Uint8Array {
  const replaced = fields.replaced?.line ?? NOTHING;
  const keyBytes = encoder.encode(key);
  const envelope = encodeEnvelope(ENVELOPES, { ...fields, rev: 0, pos: 0 }, NOTHING);
  const keyAt = FIXED_BYTES + replaced.length;
  const headEnd = keyAt + keyBytes.length + envelope.length;
  const end = headEnd + value.length;
  const bytes = new Uint8Array(end + ((kind - (end % 4) + 4) % 4));
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC, 0);
  view.setUint8(8, FORMAT);
  view.setUint8(9, kind);
  view.setUint32(10, crc32(value));
  view.setUint16(14, Math.floor(value.length / 2 ** 32));
  view.setUint32(16, value.length % 2 ** 32);
  view.setUint16(20, keyBytes.length);
  view.setUint32(22, envelope.length);
  view.setUint8(26, replaced.length / WRITE_ID_BYTES);
  bytes.set(replaced, FIXED_BYTES);
  bytes.set(keyBytes, keyAt);
  bytes.set(envelope, keyAt + keyBytes.length);
  bytes.set(value, headEnd);
  view.setUint32(4, crc32(bytes.subarray(8, headEnd)));
  return bytes;
}

/** What stands before the value, checked. */
export class ObjectHead implements ItemHead {
  readonly key: string;
  readonly kind: number;
  /** The versions that stood here before it, marks and expired entries included, the latest first. */
  readonly replaced: readonly string[];
  readonly #replaced: Uint8Array;
  readonly #envelope: Envelope;
  readonly #headEnd: number;
  readonly #valueLength: number;
  readonly #valueChecksum: number;

  private constructor(key: string, bytes: Uint8Array, view: DataView, headEnd: number) {
    this.key = key;
    this.kind = view.getUint8(9);
    const keyAt = keyStart(view);
    this.#replaced = bytes.slice(FIXED_BYTES, keyAt);
    this.replaced = versionsOf(this.#replaced);
    const envelopeAt = keyAt + view.getUint16(20);
    this.#envelope = new Envelope(ENVELOPES, key, bytes.subarray(envelopeAt, headEnd));
    this.#headEnd = headEnd;
    this.#valueLength = view.getUint16(14) * 2 ** 32 + view.getUint32(16);
    this.#valueChecksum = view.getUint32(10);
  }

  /**
   * Reads the beginning of the object of a key, of `size` bytes; a number says how many bytes are
   * needed for that. Errors: `corrupt` for what is no whole object of this key.
   */
  static read(key: string, bytes: Uint8Array, size: number): ObjectHead | number {
    if (size < FIXED_BYTES) throw corrupt(key, `${size} bytes are too few`);
    if (bytes.length < FIXED_BYTES) return FIXED_BYTES;
    if (MAGIC.some((byte, at) => bytes[at] !== byte))
      throw corrupt(key, 'it does not begin as an entry does');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const keyEnd = keyStart(view) + view.getUint16(20);
    const headEnd = keyEnd + view.getUint32(22);
    if (headEnd > size) throw corrupt(key, 'it has lost its end');
    if (headEnd > bytes.length) return headEnd;
    // The checksum first: a flipped format byte is damage, not a newer format.
    if (crc32(bytes.subarray(8, headEnd)) !== view.getUint32(4))
      throw corrupt(key, 'the checksum of its head does not match');
    if (bytes[8] !== FORMAT)
      throw corrupt(key, `its format is ${bytes[8]}; this version reads ${FORMAT}`);
    const written = decoder.decode(bytes.subarray(keyStart(view), keyEnd));
    if (written !== key) throw corrupt(key, `it holds the key ${JSON.stringify(written)}`);
    const head = new ObjectHead(key, bytes, view, headEnd);
    const end = headEnd + head.#valueLength;
    if (size < end || size > end + 3 || kindOf(size) !== head.kind)
      throw corrupt(key, `its ${size} bytes do not fit what it says`);
    return head;
  }

  get version(): string {
    return this.#envelope.version;
  }

  /** What an object that replaces it says to have replaced. */
  get line(): Uint8Array {
    return lineAfter(this.#envelope.bytes.subarray(...WRITE_ID_RANGE), this.#replaced);
  }

  get immutable(): boolean {
    return this.#envelope.immutable;
  }

  /** Whether it stands for an entry at this time. */
  isLive(nowMs: number): boolean {
    const { expiresAt } = this.#envelope;
    return this.kind !== KIND.deleted && (expiresAt === undefined || expiresAt > nowMs);
  }

  /** Everything of the entry but its value. */
  entryHead(): EntryHead {
    const { rev: _, ...head } = this.#envelope.head();
    return head;
  }

  /** The value, out of the whole object; damage fails with `corrupt`. */
  value(object: Uint8Array): Uint8Array {
    const value = object.slice(this.#headEnd, this.#headEnd + this.#valueLength);
    if (crc32(value) !== this.#valueChecksum)
      throw corrupt(this.key, 'the checksum of its value does not match');
    return value;
  }
}

function keyStart(view: DataView): number {
  return FIXED_BYTES + view.getUint8(26) * WRITE_ID_BYTES;
}

function corrupt(key: string, why: string): StrataError {
  return failure('corrupt', 'read', `the object of ${JSON.stringify(key)} is damaged: ${why}`, {
    key,
  });
}
