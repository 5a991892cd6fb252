import { type KeyRange, prefixBounds, RESERVED_PREFIX } from '../../../store/keys.ts';

/** Marks wait in one of these until they are due: `retry` when their last try failed. */
export type Lane = 'due' | 'retry';

/** A mark, as it is kept. */
export interface StoredMark {
  generation: number;
  /** Under which it was taken last; 0 before that. */
  takenAs: number;
  /** In ms since 1970, as all times here. */
  markedAt: number;
  dueAt: number;
  tries: number;
  /** Why the last try failed. */
  code: string;
  message: string;
}

/** What an archive counts: the last generation given, marks, those among them that failed, records. */
export interface Counts {
  clock: number;
  dirty: number;
  failing: number;
  evicted: number;
}

/** Digits that every time of the next thousands of years has. */
const TIME_DIGITS = 15;

export const laneOf = (mark: StoredMark): Lane => (mark.tries > 0 ? 'retry' : 'due');

/** Where an archive keeps what is its own in the hot store: under reserved keys. */
export class Layout {
  readonly counts: string;
  /** The name that the store gives itself for this archive. */
  readonly id: string;
  readonly #prefix: string;

  constructor(namespace: string) {
    this.#prefix = `${RESERVED_PREFIX}archive/${namespace}/`;
    this.counts = `${this.#prefix}counts`;
    this.id = `${this.#prefix}id`;
  }

  mark(key: string): string {
    return `${this.#prefix}mark/${key}`;
  }

  /** The generation of the cold object of an evicted key. */
  record(key: string): string {
    return `${this.#prefix}evicted/${key}`;
  }

  /** When a key was used last. */
  use(key: string): string {
    return `${this.#prefix}used/${key}`;
  }

  turn(name: string): string {
    return `${this.#prefix}turn/${name}`;
  }

  /** A place in a lane, in the order of times. */
  waiting(lane: Lane, dueAt: number, key: string): string {
    return `${this.#lane(lane)}${digitsOf(dueAt)}/${key}`;
  }

  /** The places in a lane of so many that are due by a time. */
  waitingUntil(lane: Lane, dueAt: number, limit: number): KeyRange {
    const upper = { key: `${this.#lane(lane)}${digitsOf(dueAt + 1)}`, inclusive: false };
    return { ...prefixBounds(this.#lane(lane)), upper, reverse: false, limit };
  }

  /** The key that waits in a place. */
  waitingKey(lane: Lane, place: string): string {
    return place.slice(this.#lane(lane).length + TIME_DIGITS + 1);
  }

  #lane(lane: Lane): string {
    return `${this.#prefix}${lane}/`;
  }
}

const digitsOf = (time: number): string =>
  Math.max(0, Math.floor(time)).toString().padStart(TIME_DIGITS, '0');

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeRecord(record: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(record));
}

export function decodeRecord<R>(bytes: Uint8Array): R {
  return JSON.parse(decoder.decode(bytes)) as R;
}
