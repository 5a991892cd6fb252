import { MAX_KEY_BYTES } from '../store/capabilities.ts';
import type { Change, Meta } from '../store/entry.ts';
import { utf8Length } from '../store/keys.ts';
import type { SetWrite, Write } from '../store/primitives.ts';
import { readMeta } from './meta.ts';
import { ByteReader, ByteWriter, decodeText, MAX_UINT_BYTES, malformed } from './wire.ts';

/*
 * The operations of a batch, column by column, so that a subscriber decodes text once for many
 * keys and does a few additions for each:
 *
 *   count       uint
 *   stamps      uint, then for each: id of the source store (text), epoch (text)
 *   lengths     four uints: bytes of the columns blocks, numbers, texts, extras
 *   flags       one byte an operation
 *   blocks      for every 64 operations: bytes of their texts (uint)
 *   numbers     an operation: UTF-16 units of the key, difference of the revision; for a set also
 *               bytes of the value, difference of the time written, UTF-16 units of the version's
 *               suffix. Differences are to the operation before, zigzag: 0, -1, 1, -2 … as 0, 1, 2, 3 …
 *   texts       an operation: its key; for a set also the suffix of its version. UTF-8
 *   extras      what the flags announce: number of the stamp (uint), prefix of the version (text),
 *               expiry (uint), metadata (text)
 *   values      one after the other, to the end
 *
 * The first operation is compared with revision 0, time 0, stamp 0, version prefix ''.
 */

export const DELETE = 1;
/** Another stamp than the operation before. */
export const STAMP = 2;
/** Another version prefix than the operation before. */
export const PREFIX = 4;
export const EXPIRY = 8;
export const META = 16;
export const IMMUTABLE = 32;
/** The value came in the pieces before this frame; its length here is 0. */
export const PIECED = 64;
const KNOWN_FLAGS = 127;

const BLOCK_OPERATIONS = 64;
/** The last that a store keeps. */
const MAX_TIME_MS = 2 ** 48 - 1;
const MAX_VERSION_UNITS = 512;
const MAX_STAMPS = 256;

/** Operations being gathered for one frame. */
export class OperationsWriter {
  count = 0;
  readonly #flags = new ByteWriter(4_096);
  readonly #blocks = new ByteWriter(1_024);
  readonly #numbers = new ByteWriter(16_384);
  readonly #texts = new ByteWriter(32_768);
  readonly #extras = new ByteWriter(1_024);
  readonly #head = new ByteWriter(256);
  #values: Uint8Array[] = [];
  #valueBytes = 0;
  #stamps: string[] = [];
  #pending = '';
  #stamp = 0;
  #rev = 0;
  #modifiedAt = 0;
  #prefix = '';

  /** About how many bytes the frame will have. */
  get bytes(): number {
    const texts = this.#texts.length + this.#pending.length + this.#extras.length;
    return this.#numbers.length + texts + this.#valueBytes;
  }

  clear(): void {
    this.count = 0;
    for (const column of [this.#flags, this.#blocks, this.#numbers, this.#texts, this.#extras])
      column.clear();
    this.#values = [];
    this.#valueBytes = 0;
    this.#stamps = [];
    this.#pending = '';
    this.#stamp = 0;
    this.#rev = 0;
    this.#modifiedAt = 0;
    this.#prefix = '';
  }

  addDelete(key: string, rev: number): void {
    const numbers = this.#begin(DELETE);
    numbers.uintReserved(key.length);
    this.#addRev(rev);
    this.#pending += key;
  }

  /** `store` and `epoch` stamp entries that are the source's own. A `pieced` value is not part of the frame. */
  addSet(
    change: Change<unknown> & { readonly type: 'set' },
    value: Uint8Array | 'pieced',
    store: string,
    epoch: string,
  ): void {
    const { key, origin } = change;
    // Looking into a text that was joined from parts makes the engine keep the whole beside them,
    // for every entry of the store: a longer text of one's own leaves it as it is.
    const version = `${origin === undefined ? change.version : origin.version} `;
    let flags =
      this.#stampFlag(origin?.store ?? store, origin?.epoch ?? epoch) | this.#prefixFlag(version);
    if (change.expiresAt !== undefined) flags |= EXPIRY;
    if (change.meta !== undefined) flags |= META;
    if (change.immutable === true) flags |= IMMUTABLE;
    if (value === 'pieced') flags |= PIECED;
    const numbers = this.#begin(flags);
    numbers.uintReserved(key.length);
    this.#addRev(origin === undefined ? (change.rev ?? 0) : origin.rev);
    numbers.uintReserved(value === 'pieced' ? 0 : value.length);
    const modifiedAt = wholeTime(change.modifiedAt);
    numbers.uintReserved(zigzag(modifiedAt - this.#modifiedAt));
    this.#modifiedAt = modifiedAt;
    const suffix = version.slice(this.#prefix.length, -1);
    numbers.uintReserved(suffix.length);
    this.#pending += key + suffix;
    if (flags & (STAMP | PREFIX | EXPIRY | META)) this.#addExtras(flags, change);
    if (value !== 'pieced') {
      this.#values.push(value);
      this.#valueBytes += value.length;
    }
  }

  /** Closes the columns; then `writeInto` may be called. */
  finish(): this {
    this.#closeBlock();
    const head = this.#head;
    head.clear();
    head.uint(this.count);
    head.uint(this.#stamps.length / 2);
    for (const part of this.#stamps) head.text(part);
    for (const column of [this.#blocks, this.#numbers, this.#texts, this.#extras])
      head.uint(column.length);
    return this;
  }

  get byteLength(): number {
    return this.#columns().reduce((sum, column) => sum + column.length, this.#valueBytes);
  }

  writeInto(bytes: Uint8Array, start: number): void {
    let at = start;
    for (const column of this.#columns()) {
      bytes.set(column.view(), at);
      at += column.length;
    }
    for (const value of this.#values) {
      bytes.set(value, at);
      at += value.length;
    }
  }

  #columns(): ByteWriter[] {
    return [this.#head, this.#flags, this.#blocks, this.#numbers, this.#texts, this.#extras];
  }

  #begin(flags: number): ByteWriter {
    if (this.count % BLOCK_OPERATIONS === 0) this.#closeBlock();
    this.count++;
    this.#flags.byte(flags);
    this.#numbers.reserve(5 * MAX_UINT_BYTES);
    return this.#numbers;
  }

  #closeBlock(): void {
    if (this.count === 0 || this.#pending === '') return;
    this.#blocks.uint(this.#texts.chars(this.#pending));
    this.#pending = '';
  }

  #addRev(rev: number): void {
    this.#numbers.uintReserved(zigzag(rev - this.#rev));
    this.#rev = rev;
  }

  #stampFlag(store: string, epoch: string): number {
    const stamps = this.#stamps;
    const now = this.#stamp * 2;
    if (stamps[now] === store && stamps[now + 1] === epoch) return 0;
    let at = 0;
    while (at < stamps.length && (stamps[at] !== store || stamps[at + 1] !== epoch)) at += 2;
    if (at === stamps.length) stamps.push(store, epoch);
    const flag = at / 2 === this.#stamp ? 0 : STAMP;
    this.#stamp = at / 2;
    return flag;
  }

  /** Whether the table of stamps may be full for one more. */
  get isFull(): boolean {
    return this.#stamps.length >= MAX_STAMPS * 2;
  }

  #prefixFlag(version: string): number {
    if (this.#prefix !== '' && version.startsWith(this.#prefix)) return 0;
    const prefix = version.slice(0, version.lastIndexOf('.') + 1);
    if (prefix === this.#prefix) return 0;
    this.#prefix = prefix;
    return PREFIX;
  }

  #addExtras(flags: number, change: Change<unknown> & { readonly type: 'set' }): void {
    const extras = this.#extras;
    if (flags & STAMP) extras.uint(this.#stamp);
    if (flags & PREFIX) extras.text(this.#prefix);
    if (flags & EXPIRY) extras.uint(wholeTime(change.expiresAt ?? 0));
    if (flags & META) extras.text(JSON.stringify(change.meta));
  }
}

function zigzag(difference: number): number {
  return difference >= 0 ? difference * 2 : -difference * 2 - 1;
}

function wholeTime(timeMs: number): number {
  return Math.min(Math.max(0, Math.round(timeMs)), MAX_TIME_MS);
}

/** How a subscriber takes the values of a frame: `pieced` is a value's own bytes, the others are views of the frame. */
export interface ValueTaker<V> {
  /** The value at [start, end) of the frame. */
  take(frame: Uint8Array, start: number, end: number): V;
}

/** Reads the operations of a batch into writes that carry their origin; false when none of them wanted the pieces. */
export function readOperations<V>(
  block: Uint8Array,
  pieced: Uint8Array | undefined,
  values: ValueTaker<V>,
  into: Write<V>[],
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

  readAll(into: Write<V>[]): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (i % BLOCK_OPERATIONS === 0) this.#nextBlock();
      const flags = this.#block[this.#flagsAt + i] as number;
      if (flags > KNOWN_FLAGS) throw malformed(`unknown flags ${flags}`);
      into.push(flags & DELETE ? this.#readDelete(flags) : this.#readSet(flags));
    }
    this.#endBlock();
    for (const column of [this.#blocks, this.#numbers, this.#texts, this.#extras]) column.finish();
    if (this.#valueAt !== this.#block.length) throw malformed('values left over');
    return this.#pieced === undefined;
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
    const modifiedAt = this.#modifiedAt + unzigzag(numbers.uint());
    if (modifiedAt < 0 || modifiedAt > MAX_TIME_MS) throw malformed('a time out of range');
    this.#modifiedAt = modifiedAt;
    const suffix = this.#slice(numbers.uint());
    if (flags & STAMP) this.#stamp = this.#extras.uint();
    if (flags & PREFIX) this.#prefix = this.#extras.text(MAX_VERSION_UNITS);
    const stamp = this.#stamps[this.#stamp];
    if (stamp === undefined) throw malformed('a stamp that is not in the table');
    const version = this.#prefix + suffix;
    if (version.length > MAX_VERSION_UNITS) throw malformed('a version is too long');
    const write: { -readonly [K in keyof SetWrite<V>]: SetWrite<V>[K] } = {
      type: 'set',
      key,
      value: this.#value(flags, length),
      origin: { store: stamp.store, epoch: stamp.epoch, rev, version },
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

  #value(flags: number, length: number): V {
    if (flags & PIECED) {
      const pieced = this.#pieced;
      if (pieced === undefined || length !== 0) throw malformed('a value in pieces is not there');
      this.#pieced = undefined;
      return this.#values.take(pieced, 0, pieced.length);
    }
    const start = this.#valueAt;
    this.#valueAt += length;
    if (this.#valueAt > this.#block.length) throw malformed('a value ends too late');
    return this.#values.take(this.#block, start, this.#valueAt);
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
    const key = this.#slice(units);
    if (units === 0 || key.charCodeAt(0) === 0) throw malformed('a key that may not be');
    if (this.#isAscii) {
      if (units > MAX_KEY_BYTES) throw malformed('a key is too long');
    } else if (!key.isWellFormed() || utf8Length(key) > MAX_KEY_BYTES)
      throw malformed('a key that may not be');
    return key;
  }
}

function unzigzag(coded: number): number {
  return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2;
}
