import type { Change } from '../store/entry.ts';
import { ByteWriter, MAX_UINT_BYTES } from './wire.ts';

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
export const KNOWN_FLAGS = 127;

export const BLOCK_OPERATIONS = 64;
/** The last that a store keeps. */
export const MAX_TIME_MS: number = 2 ** 48 - 1;
export const MAX_STAMPS = 256;

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
