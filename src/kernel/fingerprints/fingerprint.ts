/** 128 random bits, so that nobody can prepare collisions for a comparison that has yet to begin. */
export type Seed = readonly [number, number, number, number];

/**
 * The sum of the fingerprints of some entries, whatever their order, and their number. Each of the
 * four lanes counts modulo 2^32.
 *
 * Two different sets of entries have the same sum with a probability of about 2^-128, by accident.
 * It is no defence against somebody who knows the seed and chooses the stamps: such a one can find
 * sets that sum up alike.
 */
export interface Sum {
  readonly count: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** A sum that grows. */
export class RunningSum implements Sum {
  count = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  /** Takes in one entry. */
  add({ a, b, c, d }: Omit<Sum, 'count'>): void {
    this.count++;
    this.#addLanes(a, b, c, d);
  }

  /** Takes in all entries of another sum. */
  addSum({ count, a, b, c, d }: Sum): void {
    this.count += count;
    this.#addLanes(a, b, c, d);
  }

  #addLanes(a: number, b: number, c: number, d: number): void {
    this.a = (this.a + a) >>> 0;
    this.b = (this.b + b) >>> 0;
    this.c = (this.c + c) >>> 0;
    this.d = (this.d + d) >>> 0;
  }
}

export function isSameSum(x: Sum, y: Sum): boolean {
  return x.count === y.count && x.a === y.a && x.b === y.b && x.c === y.c && x.d === y.d;
}

const FINAL_ROUNDS = 4;

/**
 * The fingerprint of an entry: 128 bits of its key and its stamp, in the fields `a` to `d` until
 * the next call. A round is a bijection of the state for each word, and of the word for each
 * state: texts of the same length that differ in one place never meet.
 */
export class Fingerprinter {
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  readonly #seed: Seed;

  constructor(seed: Seed) {
    this.#seed = seed;
  }

  /** `stamp` names what the entry holds: equal for equal contents of a key, for others different. */
  take(key: string, stamp: string): this {
    [this.a, this.b, this.c, this.d] = this.#seed;
    // A text of its own: looking into a text that was joined from parts would keep the whole
    // beside them for as long as its owner does.
    const text = `${key}${stamp}`;
    this.#round(key.length);
    let i = 0;
    for (; i + 1 < text.length; i += 2)
      this.#round(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
    if (i < text.length) this.#round(text.charCodeAt(i));
    this.#round(text.length);
    for (let left = FINAL_ROUNDS; left > 0; left--) this.#round(0x9e3779b9);
    this.a >>>= 0;
    this.b >>>= 0;
    this.c >>>= 0;
    this.d >>>= 0;
    return this;
  }

  #round(word: number): void {
    let mixed = Math.imul(word, 0x85ebca6b);
    mixed ^= mixed >>> 15;
    this.a = Math.imul(turn(this.a ^ mixed, 13) + this.b, 0x9e3779b1);
    this.b = Math.imul(turn(this.b ^ mixed, 17) + this.c, 0x85ebca77);
    this.c = Math.imul(turn(this.c ^ mixed, 11) + this.d, 0xc2b2ae3d);
    this.d = Math.imul(turn(this.d ^ mixed, 19) + this.a, 0x27d4eb2f);
  }
}

function turn(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
