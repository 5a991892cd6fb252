import type { PackedSets, SetWrite } from '../store/primitives.ts';

/** Numbers of an operation: revision, time, ends of key, of text and of value. */
export const PACKED_NUMBERS = 5;
const [REV, TIME, KEY_END, TEXT_END, VALUE_END] = [0, 1, 2, 3, 4] as const;

/** What all operations of a pack have in common. */
export interface PackedStamp {
  readonly store: string;
  readonly epoch: string;
  /** Of the versions. */
  readonly prefix: string;
  readonly immutable: boolean;
}

/**
 * Sets as they came in a frame, a few of them, because each that stays keeps all in memory: their
 * texts (a key, then the rest of a version), their values one after the other, and their numbers.
 */
export class PackedOperations implements PackedSets<Uint8Array> {
  readonly type = 'sets';
  readonly count: number;
  readonly bytes: number;
  readonly #text: string;
  readonly #textStart: number;
  readonly #values: ArrayBuffer;
  readonly #numbers: readonly number[];
  readonly #stamp: PackedStamp;

  constructor(
    text: string,
    textStart: number,
    values: ArrayBuffer,
    numbers: readonly number[],
    stamp: PackedStamp,
  ) {
    this.count = numbers.length / PACKED_NUMBERS;
    this.#text = text;
    this.#textStart = textStart;
    this.#values = values;
    this.#numbers = numbers;
    this.#stamp = stamp;
    this.bytes = values.byteLength + this.#number(this.count - 1, TEXT_END) - textStart;
  }

  get store(): string {
    return this.#stamp.store;
  }

  keyAt(at: number): string {
    return this.#text.slice(this.#keyStart(at), this.#number(at, KEY_END));
  }

  valueAt(at: number): Uint8Array {
    const start = at === 0 ? 0 : this.#number(at - 1, VALUE_END);
    return new Uint8Array(this.#values, start, this.#number(at, VALUE_END) - start);
  }

  setAt(at: number): SetWrite<Uint8Array> {
    const { store, epoch, prefix, immutable } = this.#stamp;
    const suffix = this.#text.slice(this.#number(at, KEY_END), this.#number(at, TEXT_END));
    return {
      type: 'set',
      key: this.keyAt(at),
      value: this.valueAt(at),
      origin: { store, epoch, rev: this.#number(at, REV), version: prefix + suffix },
      modifiedAt: this.#number(at, TIME),
      ...(immutable && { immutable }),
    };
  }

  #keyStart(at: number): number {
    return at === 0 ? this.#textStart : this.#number(at - 1, TEXT_END);
  }

  #number(at: number, which: number): number {
    return this.#numbers[at * PACKED_NUMBERS + which] as number;
  }
}
