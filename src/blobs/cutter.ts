/*
 * Content-defined chunking by a gear hash, with normalization as FastCDC has it: no cut before `min`
 * bytes, cuts harder to find than the mean asks for up to `mean` bytes and easier beyond, and one at
 * `max` at the latest. Where bytes are put in or taken out, only the chunks about that place change.
 * Table and masks are part of the format: other ones would find no chunk of an older split again.
 */

/** Sizes of chunks, in bytes. */
export interface ChunkSizes {
  readonly min: number;
  /** A power of two. */
  readonly mean: number;
  readonly max: number;
}

/** By how many bits the hardness of a cut differs from the mean's, before it and after. */
const NORMALIZATION_BITS = 2;

/** 256 random numbers, the same for ever. */
const GEAR: Int32Array = (() => {
  const table = new Int32Array(256);
  let state = 0x9e3779b9;
  for (let at = 0; at < table.length; at++) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    table[at] = mixed ^ (mixed >>> 14);
  }
  return table;
})();

/** The highest bits: those that the last 32 bytes have all had a part in. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : (-1 << (32 - Math.min(bits, 31))) | 0;
}

/** Cuts a stream of bytes into chunks; holds at most one of the longest. */
export class Cutter {
  readonly #min: number;
  readonly #mean: number;
  readonly #hard: number;
  readonly #easy: number;
  readonly #held: Uint8Array;
  #length = 0;
  /** How far the held bytes have been looked at. */
  #at: number;
  #hash = 0;

  constructor({ min, mean, max }: ChunkSizes) {
    const bits = Math.log2(mean);
    this.#min = min;
    this.#mean = mean;
    this.#hard = maskOf(bits + NORMALIZATION_BITS);
    this.#easy = maskOf(bits - NORMALIZATION_BITS);
    this.#held = new Uint8Array(max);
    this.#at = min;
  }

  /** Takes bytes, which may be used again once it has ended, and gives the chunks that they complete. */
  *push(bytes: Uint8Array): Generator<Uint8Array> {
    const held = this.#held;
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + held.length - this.#length);
      held.set(part, this.#length);
      this.#length += part.length;
      from += part.length;
      for (let end = this.#find(); end > 0; end = this.#find()) yield this.#cut(end);
    }
  }

  /** What is left at the end; `undefined` for nothing. */
  finish(): Uint8Array | undefined {
    return this.#length === 0 ? undefined : this.#cut(this.#length);
  }

  /** The end of the next chunk; 0 while more bytes must tell. */
  #find(): number {
    const held = this.#held;
    const length = this.#length;
    const normal = Math.min(this.#mean, length);
    const hard = this.#hard;
    const easy = this.#easy;
    let at = this.#at;
    let hash = this.#hash;
    while (at < normal) {
      hash = ((hash << 1) + (GEAR[held[at++] as number] as number)) | 0;
      if ((hash & hard) === 0) return at;
    }
    while (at < length) {
      hash = ((hash << 1) + (GEAR[held[at++] as number] as number)) | 0;
      if ((hash & easy) === 0) return at;
    }
    if (length === held.length) return length;
    this.#at = at;
    this.#hash = hash;
    return 0;
  }

  #cut(end: number): Uint8Array {
    const chunk = this.#held.slice(0, end);
    this.#held.copyWithin(0, end, this.#length);
    this.#length -= end;
    this.#at = this.#min;
    this.#hash = 0;
    return chunk;
  }
}
