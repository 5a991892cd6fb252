import { StrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';

/** Why a connection is closed, as WebSocket numbers it. */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocol: 1002,
  notBinary: 1003,
  lost: 1006,
  malformed: 1007,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  tryLater: 1013,
} as const;

/** A frame that breaks the protocol: the connection it came by is closed with `closeCode`. */
export class ProtocolError extends StrataError {
  readonly closeCode: number;

  constructor(closeCode: number, what: string) {
    super('corrupt', `sync: ${what}`, { operation: 'sync', details: { closeCode } });
    this.closeCode = closeCode;
  }
}

export function malformed(what: string): ProtocolError {
  return new ProtocolError(CLOSE.malformed, what);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Longest unsigned number on the wire: seven bits a byte, eight bytes hold 2^53 - 1. */
export const MAX_UINT_BYTES = 8;

/** Bytes being written: grows as needed, and is used again after `clear`. */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for so many more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** A whole number below 2^53: seven bits a byte, lowest first, the high bit on all but the last. */
  uint(value: number): void {
    this.reserve(MAX_UINT_BYTES);
    this.uintReserved(value);
  }

  /** As `uint`, where the room is known to be there. */
  uintReserved(value: number): void {
    const { bytes } = this;
    let left = value;
    let at = this.length;
    while (left >= 0x80) {
      bytes[at++] = (left & 0x7f) | 0x80;
      left = left < 0x80000000 ? left >>> 7 : Math.floor(left / 0x80);
    }
    bytes[at++] = left;
    this.length = at;
  }

  /** A text alone: its length must be known otherwise. Returns its bytes. */
  chars(text: string): number {
    this.reserve(text.length * 3);
    const { written } = encoder.encodeInto(text, this.bytes.subarray(this.length));
    this.length += written;
    return written;
  }

  text(text: string): void {
    this.raw(encoder.encode(text));
  }

  /** Length, then the bytes. */
  raw(bytes: Uint8Array): void {
    this.uint(bytes.length);
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  position(position: Position | undefined): void {
    this.byte(position === undefined ? 0 : 1);
    if (position === undefined) return;
    this.text(position.epoch);
    this.uint(position.rev);
    this.text(position.id);
  }

  /** The bytes written, as a view that the next write may change. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** Reads what `ByteWriter` writes. Whatever is wrong with the bytes is a `ProtocolError`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(): number {
    if (this.at >= this.end) throw malformed('a frame ends too early');
    return this.bytes[this.at++] as number;
  }

  uint(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (let count = 1; count < MAX_UINT_BYTES; count++) {
      const next = this.byte();
      value += (next & 0x7f) * scale;
      if (next < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw malformed('a number is too large');
  }

  flag(): boolean {
    const value = this.byte();
    if (value > 1) throw malformed(`a flag is ${value}`);
    return value === 1;
  }

  /** So many bytes, as a view. */
  take(count: number): Uint8Array {
    if (count > this.left) throw malformed('a frame ends too early');
    const start = this.at;
    this.at += count;
    return this.bytes.subarray(start, this.at);
  }

  raw(): Uint8Array {
    return this.take(this.uint());
  }

  text(maxBytes: number = Number.MAX_SAFE_INTEGER): string {
    const length = this.uint();
    if (length > maxBytes) throw malformed(`a text has ${length} bytes, more than ${maxBytes}`);
    return decodeText(this.take(length));
  }

  position(): Position | undefined {
    if (!this.flag()) return undefined;
    const epoch = this.text(64);
    const rev = this.uint();
    return { epoch, rev, id: this.text(64) };
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** Refuses bytes that nobody has read. */
  finish(): void {
    if (this.left > 0) throw malformed(`${this.left} bytes too many`);
  }
}

/** UTF-8 as text; anything else is a `ProtocolError`. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed('a text is no UTF-8');
  }
}
