import type { Seed } from '../kernel/fingerprints/fingerprint.ts';
import {
  type Answer,
  type Ask,
  type ListPart,
  MAX_FAN_OUT,
  MAX_LISTED,
  MAX_SPANS,
  type Part,
  type Span,
  type SplitPart,
} from '../kernel/fingerprints/messages.ts';
import { MAX_KEY_BYTES } from '../store/capabilities.ts';
import { ByteReader, ByteWriter, malformed } from './wire.ts';

/*
 * The bodies of `range`: a kind, then by kind
 *
 *   1 ask     count (uint); of each range its lower end (key) and its upper end (flag, key)
 *   2 answer  count (uint); of each part: 1, number of sums (uint), the bounds between them (keys),
 *             for each sum its entries (uint) and four words; or 2, number of keys (uint), the
 *             keys, two words a key
 *   3 want    flag, whether these are the last; count (uint), the keys
 *   4 give up nothing: the subscriber would rather have a snapshot
 *   5 offer   four words, the seed of the fingerprints: the server would compare
 *
 * A key is the number of UTF-16 units that it shares with the key before it in the message (uint),
 * then the rest (text). A word has four bytes, the lowest first.
 */

const ASK = 1;
const ANSWER = 2;
const WANT = 3;
const GIVE_UP = 4;
const OFFER = 5;
const SPLIT = 1;
const LIST = 2;
/** Most bytes of wanted keys, all frames together. */
export const MAX_WANTED_BYTES: number = 8 * 1024 * 1024;
/** A frame of wanted keys is closed at so many bytes. */
const WANT_BYTES = 64 * 1024;
/** Keys of a store may be longer than those of all stores, not without bound. */
const MAX_REST_BYTES = 4 * MAX_KEY_BYTES;

export type RangeMessage =
  | { readonly kind: 'ask'; readonly ask: Ask }
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'want'; readonly last: boolean; readonly keys: readonly string[] }
  | { readonly kind: 'give-up' }
  | { readonly kind: 'offer'; readonly seed: Seed };

export function encodeRangeMessage(message: Exclude<RangeMessage, { kind: 'want' }>): Uint8Array {
  const into = new KeyWriter();
  if (message.kind === 'give-up') into.byte(GIVE_UP);
  else if (message.kind === 'offer') {
    into.byte(OFFER);
    for (const word of message.seed) into.word(word);
  } else if (message.kind === 'ask') {
    const { spans } = message.ask;
    into.byte(ASK);
    into.uint(spans.length);
    for (const { lower, upper } of spans) {
      into.key(lower);
      into.byte(upper === undefined ? 0 : 1);
      if (upper !== undefined) into.key(upper);
    }
  } else {
    const { parts } = message.answer;
    into.byte(ANSWER);
    into.uint(parts.length);
    for (const part of parts) putPart(into, part);
  }
  return into.view().slice();
}

/** Keys that are wanted, in as many bodies as needed; one at least. */
export function encodeWanted(keys: readonly string[]): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  const list = new KeyWriter();
  let count = 0;
  const close = (last: boolean): void => {
    const body = new ByteWriter(list.length + 16);
    body.byte(WANT);
    body.byte(last ? 1 : 0);
    body.uint(count);
    bodies.push(joined(body, list));
    list.clear();
    count = 0;
  };
  for (const key of keys) {
    list.key(key);
    count++;
    if (list.length >= WANT_BYTES) close(false);
  }
  close(true);
  return bodies;
}

function joined(head: ByteWriter, tail: ByteWriter): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head.view());
  bytes.set(tail.view(), head.length);
  return bytes;
}

function putPart(into: KeyWriter, part: Part): void {
  if (part.kind === 'split') {
    into.byte(SPLIT);
    into.uint(part.sums.length);
    for (const bound of part.bounds) into.key(bound);
    for (const { count, a, b, c, d } of part.sums) {
      into.uint(count);
      for (const lane of [a, b, c, d]) into.word(lane);
    }
    return;
  }
  into.byte(LIST);
  into.uint(part.keys.length);
  for (const key of part.keys) into.key(key);
  for (const mark of part.marks) into.word(mark);
}

/** Reads a body. Anything but a well-formed one is a `ProtocolError`; whether it makes sense is not looked at. */
export function decodeRangeMessage(body: Uint8Array): RangeMessage {
  const from = new KeyReader(body);
  const message = readBody(from);
  from.finish();
  return message;
}

function readBody(from: KeyReader): RangeMessage {
  const kind = from.byte();
  if (kind === GIVE_UP) return { kind: 'give-up' };
  if (kind === OFFER)
    return { kind: 'offer', seed: [from.word(), from.word(), from.word(), from.word()] };
  if (kind === ASK) {
    const spans = times(from.count(MAX_SPANS), (): Span => {
      const lower = from.key();
      return { lower, upper: from.flag() ? from.key() : undefined };
    });
    return { kind: 'ask', ask: { spans } };
  }
  if (kind === ANSWER)
    return {
      kind: 'answer',
      answer: { parts: times(from.count(MAX_SPANS), () => readPart(from)) },
    };
  if (kind !== WANT) throw malformed(`a message about ranges of the kind ${kind}`);
  const last = from.flag();
  // A key has two bytes at least.
  return { kind: 'want', last, keys: times(from.count(from.left / 2), () => from.key()) };
}

function readPart(from: KeyReader): Part {
  const kind = from.byte();
  if (kind === SPLIT) return readSplit(from);
  if (kind === LIST) return readList(from);
  throw malformed(`a part of the kind ${kind}`);
}

function readSplit(from: KeyReader): SplitPart {
  const count = from.count(MAX_FAN_OUT);
  const bounds = times(Math.max(0, count - 1), () => from.key());
  const sums = times(count, () => ({
    count: from.uint(),
    a: from.word(),
    b: from.word(),
    c: from.word(),
    d: from.word(),
  }));
  return { kind: 'split', bounds, sums };
}

function readList(from: KeyReader): ListPart {
  const count = from.count(MAX_LISTED);
  const keys = times(count, () => from.key());
  return { kind: 'list', keys, marks: times(count * 2, () => from.word()) };
}

function times<T>(count: number, make: () => T): T[] {
  const made: T[] = [];
  for (let i = 0; i < count; i++) made.push(make());
  return made;
}

class KeyWriter extends ByteWriter {
  #last = '';

  override clear(): void {
    super.clear();
    this.#last = '';
  }

  key(key: string): void {
    const most = Math.min(key.length, this.#last.length);
    let shared = 0;
    while (shared < most && key.charCodeAt(shared) === this.#last.charCodeAt(shared)) shared++;
    // Half a surrogate pair is no text.
    if (shared > 0 && isHighSurrogate(key.charCodeAt(shared - 1))) shared--;
    this.uint(shared);
    this.text(key.slice(shared));
    this.#last = key;
  }

  word(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte((value >>> shift) & 0xff);
  }
}

class KeyReader extends ByteReader {
  #last = '';

  key(): string {
    const shared = this.uint();
    if (shared > this.#last.length) throw malformed('a key shares more than there is');
    if (shared > 0 && isHighSurrogate(this.#last.charCodeAt(shared - 1)))
      throw malformed('a key shares half a character');
    const key = this.#last.slice(0, shared) + this.text(MAX_REST_BYTES);
    if (key.length > MAX_REST_BYTES) throw malformed('a key is too long');
    this.#last = key;
    return key;
  }

  word(): number {
    const bytes = this.take(4);
    const [a, b, c, d] = bytes as unknown as [number, number, number, number];
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  }

  count(most: number): number {
    const count = this.uint();
    if (count > most) throw malformed(`${count} of what may be ${Math.floor(most)}`);
    return count;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
