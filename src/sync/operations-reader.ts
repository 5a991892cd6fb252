import { MAX_KEY_BYTES } from '../store/capabilities.ts';
import type { Meta } from '../store/entry.ts';
import { utf8Length } from '../store/keys.ts';
import type { SetWrite, Write } from '../store/primitives.ts';
import {
  BLOCK_OPERATIONS,
  DELETE,
  EXPIRY,
  IMMUTABLE,
  KNOWN_FLAGS,
  MAX_STAMPS,
  MAX_TIME_MS,
  META,
  PIECED,
  PREFIX,
  STAMP,
} from './batch-operations.ts';
import { readMeta } from './meta.ts';
import type { Operation } from './operations.ts';
import { PACKED_NUMBERS, PackedOperations, type PackedStamp } from './packed-operations.ts';
import { ByteReader, decodeText, malformed } from './wire.ts';

const MAX_VERSION_UNITS = 512;

/** How a subscriber takes the values of a frame: `pieced` is a value's own bytes, the others are views of the frame. */
export interface ValueTaker<V> {
  /** The value at [start, end) of the frame. */
  take(frame: Uint8Array, start: number, end: number): V;
  /** Whether values are the bytes themselves, and the store takes sets packed. */
  readonly packs?: boolean;
}

/** Small values are copied together, up to so many bytes: one that stays keeps no more in memory. */
const PACK_BYTES = 4_096;
/** Larger values are by themselves. */
const PACKED_BYTES = 1_024;
/** The numbers of the pack being made; reading is synchronous. */
const scratch: number[] = [];

/** Reads the operations of a batch, of which all sets carry their origin; false when none of them wanted the pieces. */
export function readOperations<V>(
  block: Uint8Array,
  pieced: Uint8Array | undefined,
  values: ValueTaker<V>,
  into: Operation<V>[],
): boolean {
  return new OperationsReader(block, pieced, values).readAll(into);
}

class OperationsReader<V> {
  readonly #block: Uint8Array;
  readonly #values: ValueTaker<V>;
  readonly #count: number;
  readonly #stamps: { readonly store: string; readonly epoch: string }[] = [];
  readonly #flagsAt: number;
  readonly #blocks: ByteReader;
  readonly #numbers: ByteReader;
  readonly #texts: ByteReader;
  readonly #extras: ByteReader;
  #pieced: Uint8Array | undefined;
  #valueAt: number;
  #text = '';
  #textAt = 0;
  #isAscii = true;
  #rev = 0;
  #modifiedAt = 0;
  #stamp = 0;
  #prefix = '';

  constructor(block: Uint8Array, pieced: Uint8Array | undefined, values: ValueTaker<V>) {
    this.#block = block;
    this.#pieced = pieced;
    this.#values = values;
    const head = new ByteReader(block);
    this.#count = head.uint();
    if (this.#count > head.left) throw malformed(`${this.#count} operations are too many`);
    const stamps = head.uint();
    if (stamps > MAX_STAMPS) throw malformed(`${stamps} stamps are too many`);
    for (let i = 0; i < stamps; i++)
      this.#stamps.push({ store: head.text(64), epoch: head.text(64) });
    const lengths = [head.uint(), head.uint(), head.uint(), head.uint()] as const;
    this.#flagsAt = head.at;
    head.take(this.#count);
    const column = (length: number): ByteReader => {
      const start = head.at;
      head.take(length);
      return new ByteReader(block, start, head.at);
    };
    this.#blocks = column(lengths[0]);
    this.#numbers = column(lengths[1]);
    this.#texts = column(lengths[2]);
    this.#extras = column(lengths[3]);
    this.#valueAt = head.at;
  }

  readAll(into: Operation<V>[]): boolean {
    for (let first = 0; first < this.#count; first += BLOCK_OPERATIONS) {
      const end = Math.min(this.#count, first + BLOCK_OPERATIONS);
      this.#nextBlock();
      if (this.#values.packs === true && this.#isUniform(first, end))
        this.#readPacked(first, end, into as Operation<Uint8Array>[]);
      else for (let i = first; i < end; i++) into.push(this.#readOne(this.#flags(i)));
    }
    this.#endBlock();
    for (const column of [this.#blocks, this.#numbers, this.#texts, this.#extras]) column.finish();
    if (this.#valueAt !== this.#block.length) throw malformed('values left over');
    return this.#pieced === undefined;
  }

  #flags(i: number): number {
    const flags = this.#block[this.#flagsAt + i] as number;
    if (flags > KNOWN_FLAGS) throw malformed(`unknown flags ${flags}`);
    return flags;
  }

  #readOne(flags: number): Write<V> {
    return flags & DELETE ? this.#readDelete(flags) : this.#readSet(flags);
  }

  /** Whether operations are all sets that have nothing of their own but what every set has. */
  #isUniform(first: number, end: number): boolean {
    const flags = this.#flags(first);
    if ((flags & ~(STAMP | PREFIX | IMMUTABLE)) !== 0) return false;
    for (let i = first + 1; i < end; i++) if (this.#flags(i) !== (flags & IMMUTABLE)) return false;
    return true;
  }

  #readPacked(first: number, end: number, into: Operation<Uint8Array>[]): void {
    const stamp = this.#readStamp(this.#flags(first));
    const numbers = this.#numbers;
    let textStart = this.#textAt;
    let valueStart = this.#valueAt;
    let count = 0;
    const close = (): void => {
      if (count === 0) return;
      const values = this.#block.slice(valueStart, this.#valueAt).buffer;
      const own = scratch.slice(0, count);
      into.push(new PackedOperations(this.#text, textStart, values, own, stamp));
      textStart = this.#textAt;
      valueStart = this.#valueAt;
      count = 0;
    };
    for (let i = first; i < end; i++) {
      const keyEnd = this.#readKeyEnd(numbers.uint());
      const rev = this.#readRev();
      const length = numbers.uint();
      const modifiedAt = this.#readTime();
      const textEnd = keyEnd + numbers.uint();
      if (textEnd > this.#text.length) throw malformed('a text ends too late');
      checkVersion(stamp.prefix.length + textEnd - keyEnd);
      if (length > PACKED_BYTES) close();
      this.#textAt = textEnd;
      this.#skipValue(length);
      scratch[count] = rev;
      scratch[count + 1] = modifiedAt;
      scratch[count + 2] = keyEnd;
      scratch[count + 3] = textEnd;
      scratch[count + 4] = this.#valueAt - valueStart;
      count += PACKED_NUMBERS;
      if (length > PACKED_BYTES || this.#valueAt - valueStart >= PACK_BYTES) close();
    }
    close();
  }

  #readStamp(flags: number): PackedStamp {
    if (flags & STAMP) this.#stamp = this.#extras.uint();
    if (flags & PREFIX) this.#prefix = this.#extras.text(MAX_VERSION_UNITS);
    const stamp = this.#stamps[this.#stamp];
    if (stamp === undefined) throw malformed('a stamp that is not in the table');
    const { store, epoch } = stamp;
    return { store, epoch, prefix: this.#prefix, immutable: (flags & IMMUTABLE) !== 0 };
  }

  #readDelete(flags: number): Write<V> {
    if (flags !== DELETE) throw malformed(`unknown flags ${flags}`);
    const key = this.#key(this.#numbers.uint());
    this.#readRev();
    return { type: 'delete', key };
  }

  #readSet(flags: number): Write<V> {
    const numbers = this.#numbers;
    const key = this.#key(numbers.uint());
    const rev = this.#readRev();
    const length = numbers.uint();
    const modifiedAt = this.#readTime();
    const suffix = this.#slice(numbers.uint());
    const { store, epoch, prefix } = this.#readStamp(flags);
    checkVersion(prefix.length + suffix.length);
    const write: { -readonly [K in keyof SetWrite<V>]: SetWrite<V>[K] } = {
      type: 'set',
      key,
      value: this.#value(flags, length),
      origin: { store, epoch, rev, version: prefix + suffix },
      modifiedAt,
    };
    if (flags & EXPIRY) write.expiresAt = Math.min(this.#extras.uint(), MAX_TIME_MS);
    if (flags & META) write.meta = this.#meta();
    if (flags & IMMUTABLE) write.immutable = true;
    return write;
  }

  #meta(): Meta {
    return readMeta(this.#extras.text());
  }

  #readRev(): number {
    const rev = this.#rev + unzigzag(this.#numbers.uint());
    if (rev < 0 || rev > Number.MAX_SAFE_INTEGER) throw malformed('a revision out of range');
    this.#rev = rev;
    return rev;
  }

  #readTime(): number {
    const modifiedAt = this.#modifiedAt + unzigzag(this.#numbers.uint());
    if (modifiedAt < 0 || modifiedAt > MAX_TIME_MS) throw malformed('a time out of range');
    this.#modifiedAt = modifiedAt;
    return modifiedAt;
  }

  #value(flags: number, length: number): V {
    if (flags & PIECED) {
      const pieced = this.#pieced;
      if (pieced === undefined || length !== 0) throw malformed('a value in pieces is not there');
      this.#pieced = undefined;
      return this.#values.take(pieced, 0, pieced.length);
    }
    const start = this.#valueAt;
    this.#skipValue(length);
    return this.#values.take(this.#block, start, this.#valueAt);
  }

  #skipValue(length: number): void {
    this.#valueAt += length;
    if (this.#valueAt > this.#block.length) throw malformed('a value ends too late');
  }

  #nextBlock(): void {
    this.#endBlock();
    const bytes = this.#texts.take(this.#blocks.uint());
    this.#text = decodeText(bytes);
    this.#textAt = 0;
    this.#isAscii = bytes.length === this.#text.length;
  }

  #endBlock(): void {
    if (this.#textAt !== this.#text.length) throw malformed('texts left over');
  }

  #slice(units: number): string {
    const start = this.#textAt;
    this.#textAt += units;
    if (this.#textAt > this.#text.length) throw malformed('a text ends too late');
    return this.#text.slice(start, this.#textAt);
  }

  #key(units: number): string {
    this.#readKeyEnd(units);
    return this.#slice(units);
  }

  /** Where a key ends that begins here, and may be one. */
  #readKeyEnd(units: number): number {
    const start = this.#textAt;
    const end = start + units;
    if (end > this.#text.length) throw malformed('a text ends too late');
    if (units === 0 || this.#text.charCodeAt(start) === 0) throw malformed('a key that may not be');
    if (this.#isAscii) {
      if (units > MAX_KEY_BYTES) throw malformed('a key is too long');
      return end;
    }
    const key = this.#text.slice(start, end);
    if (!key.isWellFormed() || utf8Length(key) > MAX_KEY_BYTES)
      throw malformed('a key that may not be');
    return end;
  }
}

function checkVersion(units: number): void {
  if (units > MAX_VERSION_UNITS) throw malformed('a version is too long');
}

function unzigzag(coded: number): number {
  return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2;
}
