import { crc32 } from '../../../store/checksum.ts';
import { ByteReader, ByteWriter, damaged } from './bytes.ts';
import { readStream, type StreamValue, writeStream } from './stream.ts';

/** A value of Redis, whatever the version of its server: what `docs/archive-format.md` describes. */
export type LogicalValue =
  | { readonly type: 'string'; readonly value: Uint8Array }
  | { readonly type: 'list' | 'set'; readonly members: readonly Uint8Array[] }
  | { readonly type: 'zset'; readonly members: readonly Scored[] }
  | { readonly type: 'hash'; readonly fields: readonly Field[] }
  | StreamValue;

/** A member of a sorted set. */
export interface Scored {
  readonly member: Uint8Array;
  readonly score: number;
}

/** A field of a hash. */
export interface Field {
  readonly field: Uint8Array;
  readonly value: Uint8Array;
  /** In ms since 1970; 0 for none. */
  readonly expiresAt: number;
}

const FORMAT = 1;
const CRC_BYTES = 4;
const TYPES = ['string', 'list', 'set', 'zset', 'hash', 'stream'] as const;

/** format (1) · type (1) · content · CRC-32 of what is before it (4, big-endian). */
export function encodeLogical(value: LogicalValue): Uint8Array {
  const to = new ByteWriter();
  to.byte(FORMAT);
  to.byte(TYPES.indexOf(value.type));
  write(to, value);
  const written = to.written();
  const whole = new Uint8Array(written.length + CRC_BYTES);
  whole.set(written);
  new DataView(whole.buffer).setUint32(written.length, crc32(written));
  return whole;
}

/** Fails with `corrupt` for anything but what `encodeLogical` gave. */
export function decodeLogical(bytes: Uint8Array): LogicalValue {
  const bodyBytes = bytes.length - CRC_BYTES;
  if (bodyBytes < 2) throw damaged('it is cut short');
  const body = bytes.subarray(0, bodyBytes);
  const sum = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(bodyBytes);
  if (crc32(body) !== sum) throw damaged('its checksum is wrong');
  const from = new ByteReader(body);
  const format = from.byte();
  const type = TYPES[from.byte()];
  if (format !== FORMAT || type === undefined)
    throw damaged(`its format ${bytes[0]}.${bytes[1]} is unknown`);
  const value = read(from, type);
  from.end();
  return value;
}

function write(to: ByteWriter, value: LogicalValue): void {
  if (value.type === 'string') to.bytes(value.value);
  else if (value.type === 'stream') writeStream(to, value);
  else if (value.type === 'hash') {
    to.count(value.fields.length);
    for (const { field, value: content, expiresAt } of value.fields) {
      to.bytes(field);
      to.bytes(content);
      to.count(expiresAt);
    }
  } else if (value.type === 'zset') {
    to.count(value.members.length);
    for (const { member, score } of value.members) {
      to.bytes(member);
      to.double(score);
    }
  } else {
    to.count(value.members.length);
    for (const member of value.members) to.bytes(member);
  }
}

function read(from: ByteReader, type: LogicalValue['type']): LogicalValue {
  if (type === 'string') return { type, value: from.bytes() };
  if (type === 'stream') return readStream(from);
  if (type === 'zset')
    return { type, members: from.list(() => ({ member: from.bytes(), score: from.double() })) };
  if (type !== 'hash') return { type, members: from.list(() => from.bytes()) };
  const field = (): Field => ({
    field: from.bytes(),
    value: from.bytes(),
    expiresAt: from.count(),
  });
  return { type, fields: from.list(field) };
}
