import type { Checksum } from '../checksum.ts';
import type { EntryHead, Meta, Origin } from '../entry.ts';
import { StrataError } from '../errors.ts';
import { readUint48, versionText, WRITE_ID_BYTES, writeUint48 } from '../version.ts';

/*
 * How byte drivers store an entry. Numbers are big-endian.
 *
 *   0  checksum  u32   CRC-32 of everything after it
 *   4  format    u8    1
 *   5  flags     u8    1 expiry, 2 metadata, 4 origin, 8 immutable
 *   6  rev       u48   the commit
 *  12  position  u32   place within the commit
 *  16  write id  16 bytes
 *  32  written   u48   ms since 1970
 *  38  expiry    u48   if flagged
 *      metadata  u32 length, JSON in UTF-8, if flagged
 *      origin    u16 length, JSON in UTF-8, if flagged
 *      value     the rest
 */
const FORMAT = 1;
const FIXED_BYTES = 38;
const EXPIRY = 1;
const META = 2;
const ORIGIN = 4;
const IMMUTABLE = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What an envelope says of its commit. `writeId` fills in the id's bytes. */
export interface EnvelopeStamp {
  readonly rev: number;
  readonly pos: number;
  readonly modifiedAt: number;
  writeId(into: Uint8Array, offset: number): void;
}

/** What an envelope says of its entry. */
export interface EnvelopeExtras {
  readonly expiresAt?: number | undefined;
  readonly immutable?: true | undefined;
  readonly meta?: Meta | undefined;
  readonly origin?: Origin | undefined;
}

/** What an envelope says beside the value. */
export interface EnvelopeFields extends EnvelopeStamp, EnvelopeExtras {}

/** What the engine supplies: its fastest checksum and allocation. */
export interface EnvelopeIo {
  readonly checksum: Checksum;
  alloc(length: number): Uint8Array;
}

/** Builds the stored bytes of an entry. */
export function encodeEnvelope(
  io: EnvelopeIo,
  fields: EnvelopeFields,
  value: Uint8Array,
): Uint8Array {
  const bytes = encodeUnstamped(io, fields, value);
  stampEnvelope(io, bytes, fields);
  return bytes;
}

/** As `encodeEnvelope`, before anything is known of the commit: the bytes are to be stamped. */
export function encodeUnstamped(
  io: EnvelopeIo,
  fields: EnvelopeExtras,
  value: Uint8Array,
): Uint8Array {
  const meta = fields.meta === undefined ? undefined : encoder.encode(JSON.stringify(fields.meta));
  const origin =
    fields.origin === undefined ? undefined : encoder.encode(JSON.stringify(fields.origin));
  const head =
    FIXED_BYTES +
    (fields.expiresAt === undefined ? 0 : 6) +
    (meta === undefined ? 0 : 4 + meta.length) +
    (origin === undefined ? 0 : 2 + origin.length);
  const bytes = io.alloc(head + value.length);
  bytes[4] = FORMAT;
  bytes[5] =
    (fields.expiresAt === undefined ? 0 : EXPIRY) |
    (meta ? META : 0) |
    (origin ? ORIGIN : 0) |
    (fields.immutable ? IMMUTABLE : 0);
  let at = FIXED_BYTES;
  if (fields.expiresAt !== undefined) {
    writeUint48(Math.min(fields.expiresAt, 2 ** 48 - 1), bytes, at);
    at += 6;
  }
  if (meta !== undefined) {
    writeUint32(meta.length, bytes, at);
    bytes.set(meta, at + 4);
    at += 4 + meta.length;
  }
  if (origin !== undefined) {
    bytes[at] = origin.length >>> 8;
    bytes[at + 1] = origin.length;
    bytes.set(origin, at + 2);
    at += 2 + origin.length;
  }
  bytes.set(value, at);
  return bytes;
}

/** Gives encoded bytes their place, write id and time; they may be stamped again, when their commit is planned anew. */
export function stampEnvelope(io: EnvelopeIo, bytes: Uint8Array, stamp: EnvelopeStamp): void {
  writeUint48(stamp.rev, bytes, 6);
  writeUint32(stamp.pos, bytes, 12);
  stamp.writeId(bytes, 16);
  writeUint48(stamp.modifiedAt, bytes, 32);
  writeUint32(io.checksum(bytes.subarray(4)), bytes, 0);
}

/** A stored entry, checked but not yet taken apart. */
export class Envelope {
  readonly bytes: Uint8Array;
  readonly key: string;

  /** Checks format and checksum; a damaged entry fails with `corrupt`. */
  constructor(io: EnvelopeIo, key: string, bytes: Uint8Array) {
    this.bytes = bytes;
    this.key = key;
    if (bytes.length < FIXED_BYTES) throw this.#corrupt(`${bytes.length} bytes are too few`);
    // The checksum first: a flipped format byte is damage, not a newer format.
    if (io.checksum(bytes.subarray(4)) !== readUint32(bytes, 0))
      throw this.#corrupt('its checksum does not match');
    if (bytes[4] !== FORMAT)
      throw this.#corrupt(`its format is ${bytes[4]}; this version reads ${FORMAT}`);
  }

  #corrupt(why: string): StrataError {
    return new StrataError(
      'corrupt',
      `the stored entry ${JSON.stringify(this.key)} is damaged: ${why}`,
      { operation: 'read', key: this.key },
    );
  }

  get rev(): number {
    return readUint48(this.bytes, 6);
  }

  /** Place within the commit. */
  get pos(): number {
    return readUint32(this.bytes, 12);
  }

  get version(): string {
    return versionText(this.bytes, 16);
  }

  get immutable(): boolean {
    return ((this.bytes[5] as number) & IMMUTABLE) !== 0;
  }

  get expiresAt(): number | undefined {
    return (this.bytes[5] as number) & EXPIRY ? readUint48(this.bytes, FIXED_BYTES) : undefined;
  }

  /** The value's bytes: a view of the envelope's. */
  get value(): Uint8Array {
    const flags = this.bytes[5] as number;
    let at = FIXED_BYTES + (flags & EXPIRY ? 6 : 0);
    if (flags & META) at += 4 + readUint32(this.bytes, at);
    if (flags & ORIGIN) at += 2 + readUint16(this.bytes, at);
    return this.bytes.subarray(at);
  }

  /** Everything but the value; `rev` where the engine keeps the revision outside. */
  head(rev: number = this.rev): EntryHead {
    const { bytes } = this;
    const flags = bytes[5] as number;
    const head: { -readonly [K in keyof EntryHead]: EntryHead[K] } = {
      key: this.key,
      version: this.version,
      rev,
      modifiedAt: readUint48(bytes, 32),
    };
    let at = FIXED_BYTES;
    if (flags & EXPIRY) {
      head.expiresAt = readUint48(bytes, at);
      at += 6;
    }
    if (flags & META) {
      const length = readUint32(bytes, at);
      head.meta = this.#parse(at + 4, length) as Meta;
      at += 4 + length;
    }
    if (flags & ORIGIN) head.origin = this.#parse(at + 2, readUint16(bytes, at)) as Origin;
    if (flags & IMMUTABLE) head.immutable = true;
    return head;
  }

  #parse(at: number, length: number): unknown {
    try {
      return JSON.parse(decoder.decode(this.bytes.subarray(at, at + length)));
    } catch {
      throw this.#corrupt('its metadata is no JSON');
    }
  }
}

/** Where an envelope keeps its write id. */
export const WRITE_ID_RANGE: readonly [start: number, end: number] = [16, 16 + WRITE_ID_BYTES];

function writeUint32(value: number, into: Uint8Array, offset: number): void {
  into[offset] = value >>> 24;
  into[offset + 1] = value >>> 16;
  into[offset + 2] = value >>> 8;
  into[offset + 3] = value;
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    (((bytes[offset] as number) << 24) |
      ((bytes[offset + 1] as number) << 16) |
      ((bytes[offset + 2] as number) << 8) |
      (bytes[offset + 3] as number)) >>>
    0
  );
}

function readUint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}
