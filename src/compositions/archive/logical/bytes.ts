import { failure } from '../../../store/errors.ts';

const FIRST_BYTES = 256;

/** Bytes that are written one thing after the other. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** A whole number from 0 to 2^53 - 1: seven bits a byte, the lowest first, the top bit set on all but the last. */
  count(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw failure('invalid-argument', 'freeze', `${value} is no count`);
    let left = value;
    this.#reserve(8);
    while (left > 127) {
      this.#bytes[this.#at++] = (left % 128) + 128;
      left = Math.floor(left / 128);
    }
    this.#bytes[this.#at++] = left;
  }

  /** IEEE 754, 8 bytes, big-endian. */
  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
  }

  /** 8 bytes, big-endian. */
  long(value: bigint): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeBigUInt64BE(value, this.#at);
  }

  /** Length, then the bytes. */
  bytes(value: Uint8Array): void {
    this.count(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #reserve(bytes: number): void {
    const least = this.#at + bytes;
    if (least <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(least, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Reads what a `ByteWriter` wrote; `corrupt` where it could not have. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  count(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = this.byte();
      value += (byte % 128) * factor;
      if (byte < 128 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw damaged('a count does not end');
  }

  double(): number {
    return this.#bytes.readDoubleBE(this.#take(8));
  }

  long(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  /** A part of the bytes that are read. */
  bytes(): Uint8Array {
    const length = this.count();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** As many things as a count before them says; each is at least a byte. */
  list<T>(one: () => T): T[] {
    const count = this.count();
    if (count > this.#bytes.length - this.#at) throw damaged('it is cut short');
    return Array.from({ length: count }, one);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw damaged('there is more than it needs');
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw damaged('it is cut short');
    this.#at = at + length;
    return at;
  }
}

/** Says that bytes are no logical value. */
export function damaged(why: string): Error {
  return failure('corrupt', 'thaw', `the logical form does not open: ${why}`);
}
