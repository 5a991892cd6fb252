import type { Env } from './env.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Bytes as base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  // The last bits held have not been written yet; what is above them has.
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 6; ) {
      bits -= 6;
      text += ALPHABET[(held >> bits) & 63];
    }
  }
  return bits > 0 ? text + ALPHABET[(held << (6 - bits)) & 63] : text;
}

/** An unpredictable id of 96 bits, 16 characters, safe in addresses and file names. */
export function randomId(env: Env): string {
  return toBase64Url(env.randomBytes(12));
}

/** Write ids have this many bytes in an envelope. */
export const WRITE_ID_BYTES = 16;
const SESSION_BYTES = 10;

/**
 * Gives every write an id that no other write ever has: 80 random bits of this opening of the
 * store, and a counter of 48 bits. A store restored from a backup is opened anew, so its new
 * writes differ from those that the restore undid.
 */
export class WriteIds {
  readonly #session: Uint8Array;
  readonly #prefix: string;
  #count = 0;

  constructor(env: Env) {
    this.#session = env.randomBytes(SESSION_BYTES);
    this.#prefix = `${toBase64Url(this.#session)}.`;
  }

  /** Takes the next number. */
  next(): number {
    return ++this.#count;
  }

  /** Takes so many numbers in a row; gives the first. */
  take(count: number): number {
    const first = this.#count + 1;
    this.#count += count;
    return first;
  }

  /** The id as text: the `version` of an entry. */
  text(count: number): string {
    return this.#prefix + count.toString(36);
  }

  /** The id as `WRITE_ID_BYTES` bytes. */
  write(count: number, into: Uint8Array, offset: number): void {
    into.set(this.#session, offset);
    writeUint48(count, into, offset + SESSION_BYTES);
  }
}

let lastSession: Uint8Array = new Uint8Array(SESSION_BYTES);
let lastPrefix: string = `${toBase64Url(lastSession)}.`;

/** Reads an id written by `WriteIds.write` as text. */
export function versionText(bytes: Uint8Array, offset: number): string {
  // Most entries of a scan come from one session: its text is made once.
  for (let i = 0; i < SESSION_BYTES; i++) {
    if (bytes[offset + i] === lastSession[i]) continue;
    lastSession = bytes.slice(offset, offset + SESSION_BYTES);
    lastPrefix = `${toBase64Url(lastSession)}.`;
    break;
  }
  return lastPrefix + readUint48(bytes, offset + SESSION_BYTES).toString(36);
}

/** Big-endian whole number below 2^48. */
export function writeUint48(value: number, into: Uint8Array, offset: number): void {
  const high = Math.floor(value / 2 ** 32);
  into[offset] = high >>> 8;
  into[offset + 1] = high;
  into[offset + 2] = value >>> 24;
  into[offset + 3] = value >>> 16;
  into[offset + 4] = value >>> 8;
  into[offset + 5] = value;
}

export function readUint48(bytes: Uint8Array, offset: number): number {
  const high = ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
  const low =
    ((bytes[offset + 2] as number) << 24) |
    ((bytes[offset + 3] as number) << 16) |
    ((bytes[offset + 4] as number) << 8) |
    (bytes[offset + 5] as number);
  return high * 2 ** 32 + (low >>> 0);
}
