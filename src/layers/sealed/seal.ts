import { crc32 } from '../../store/checksum.ts';
import type { Env } from '../../store/env.ts';
import { failure, invalidArgument } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import { systemEnv } from '../../store/system-env.ts';
import { Cipher } from './cipher.ts';
import { type Compression, gzip, joined } from './compression.ts';
import {
  corrupt,
  NONCE_BYTES,
  OVERHEAD_BYTES,
  readHeader,
  type SealHeader,
  type SealInfo,
  writeHeader,
} from './header.ts';

/** Where a value belongs. Sealed for one place, it does not open in another. */
export interface SealContext {
  /** The key it is stored under. */
  readonly key: string;
  /** Name of the store it is in; default empty. */
  readonly storeId?: string;
}

/** Turns values into what is kept of them, and back. Fails with `StrataError`s to say which code. */
export interface Seal {
  /** For pictures and `info`; never a secret. */
  readonly name?: string;
  /** Fresh bytes, at most `overheadBytes` more than the value. */
  freeze(bytes: Uint8Array, context: SealContext): Promise<Uint8Array>;
  /** Fresh bytes, equal to those frozen; `corrupt` where that cannot be. */
  thaw(sealed: Uint8Array, context: SealContext): Promise<Uint8Array>;
  /** What freezing may add to the length; default 0. */
  readonly overheadBytes?: number;
  /** Largest value that it takes; default any. */
  readonly maxBytes?: number;
}

/** Options of `seal`. */
export interface SealOptions {
  /** `gzip()`, or `zstd(await import('node:zlib'))`; default none. What does not get smaller is kept as it is. */
  readonly compress?: Compression;
  /** Further compressions that values may have been written with; `gzip` is always read. */
  readonly decompress?: readonly Compression[];
  /** Keys of AES-256-GCM by id: 32 bytes each, ids of 1 to 64 bytes. With keys, what is not encrypted is not read. */
  readonly keys?: Readonly<Record<string, Uint8Array>>;
  /** The key to encrypt with; default the only one. */
  readonly keyId?: string;
  /** Largest value, in bytes, that is written or read; default 64 MiB, at most 4 GiB - 1. */
  readonly maxBytes?: number;
  /** Where randomness comes from; default the host's. */
  readonly env?: Env;
}

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const MOST_BYTES = 2 ** 32 - 1;
/** Nothing of fewer bytes is worth compressing. */
const LEAST_COMPRESSED_BYTES = 32;

const compressionRule: is.OptionRule = {
  expected: "gzip() or zstd(await import('node:zlib'))",
  accepts: (v) => typeof (v as Partial<Compression> | null)?.decompress === 'function',
};
const RULES: OptionRules = {
  compress: compressionRule,
  decompress: {
    expected: 'an array of compressions',
    accepts: (v) => Array.isArray(v) && v.every((one) => compressionRule.accepts(one)),
  },
  keys: is.object,
  keyId: is.text,
  maxBytes: {
    expected: `a whole number of 1 to ${MOST_BYTES}`,
    accepts: (v) => is.positive.accepts(v) && (v as number) <= MOST_BYTES,
  },
  env: is.object,
};

/**
 * Compression, then encryption, with a header that says what was done. Works in Node and browsers;
 * `zstd` in Node only.
 *
 * The key of the entry and the store's id are bound to the value: moved elsewhere it does not open.
 * Encrypted values are authenticated by AES-256-GCM with random 96-bit nonces (use a key for fewer
 * than 2^32 values); without keys a CRC-32 notices damage, not malice. Nothing is decompressed
 * before its bytes are known to be whole, nor beyond the length that its header names. An older
 * value of the same key, put back by somebody who can write to the store, is not noticed.
 *
 * Rotation: add a key, name it `keyId`, write the values again, and remove the old key when
 * `sealInfo` finds no more of it.
 *
 * Errors: `invalid-argument` for options and for values above `maxBytes`; `corrupt` for anything
 * that is damaged, misplaced, too large, not encrypted though keys are given, or of an unknown key;
 * `unsupported` for a compression that was not given.
 *
 * ```ts
 * const secret = seal({ compress: gzip(), keys: { '2026': key } });
 * const store = sealed(file({ path: './data' }), { seal: secret, storeId: 'users' });
 * ```
 */
export function seal(options: SealOptions = {}): Seal {
  checkOptions('seal', options, RULES);
  const { keys, compress, maxBytes = DEFAULT_MAX_BYTES, env = systemEnv } = options;
  const cipher = keys === undefined ? undefined : new Cipher(keys, options.keyId);
  if (keys === undefined && options.keyId !== undefined)
    throw invalidArgument('seal', 'the option keys', keys, `one of the id ${options.keyId}`);
  const readers = new Map<string, Compression>([['gzip', gzip()]]);
  for (const one of [...(options.decompress ?? []), ...(compress ? [compress] : [])])
    readers.set(one.name, one);
  return new Sealing({ cipher, compress, readers, maxBytes, env });
}

interface SealingParts {
  readonly cipher: Cipher | undefined;
  readonly compress: Compression | undefined;
  readonly readers: ReadonlyMap<string, Compression>;
  readonly maxBytes: number;
  readonly env: Env;
}

class Sealing implements Seal {
  readonly name: string;
  readonly overheadBytes = OVERHEAD_BYTES;
  readonly maxBytes: number;
  readonly #parts: SealingParts;

  constructor(parts: SealingParts) {
    this.#parts = parts;
    this.maxBytes = parts.maxBytes;
    this.name =
      [parts.compress?.name, parts.cipher && 'aes-256-gcm'].filter(Boolean).join(' + ') || 'crc-32';
  }

  async freeze(bytes: Uint8Array, context: SealContext): Promise<Uint8Array> {
    const { cipher, maxBytes, env } = this.#parts;
    if (bytes.length > maxBytes)
      throw failure(
        'invalid-argument',
        'freeze',
        `the value has ${bytes.length} bytes; expected at most ${maxBytes}`,
        { key: context.key },
      );
    const place = placeOf('freeze', context);
    const packed = await this.#packed(bytes);
    const info: SealInfo = {
      bytes: bytes.length,
      compression: packed === bytes ? 'none' : (this.#parts.compress?.name ?? 'none'),
    };
    if (cipher === undefined) {
      const raw = writeHeader(info);
      const sum = new Uint8Array(4);
      new DataView(sum.buffer).setUint32(0, checksumOf(raw, place, packed));
      return joined([raw, sum, packed], raw.length + sum.length + packed.length);
    }
    const nonce = Uint8Array.from(env.randomBytes(NONCE_BYTES));
    const raw = writeHeader({ ...info, keyId: cipher.keyId }, nonce);
    const body = await cipher.encrypt(
      packed,
      nonce,
      joined([raw, place], raw.length + place.length),
    );
    return joined([raw, body], raw.length + body.length);
  }

  async thaw(sealed: Uint8Array, context: SealContext): Promise<Uint8Array> {
    const header = readHeader(sealed);
    const { maxBytes } = this.#parts;
    if (header.bytes > maxBytes)
      throw corrupt(`the value has ${header.bytes} bytes; expected at most ${maxBytes}`);
    const place = placeOf('thaw', context);
    const { keyId, nonce, compression } = header;
    const packed =
      keyId === undefined || nonce === undefined
        ? this.#checked(header, place)
        : await this.#decrypted(header, place, keyId, nonce);
    const bytes = compression === 'none' ? packed : await this.#unpacked(header, packed);
    if (bytes.length !== header.bytes)
      throw corrupt(`the value has ${bytes.length} bytes, not the ${header.bytes} that it should`);
    return bytes;
  }

  async #packed(bytes: Uint8Array): Promise<Uint8Array> {
    const { compress } = this.#parts;
    if (compress === undefined || bytes.length < LEAST_COMPRESSED_BYTES) return bytes;
    const packed = await compress.compress(bytes);
    return packed.length < bytes.length ? packed : bytes;
  }

  #decrypted(
    { raw, body }: SealHeader,
    place: Uint8Array,
    keyId: string,
    nonce: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array> {
    const { cipher } = this.#parts;
    if (cipher === undefined)
      throw corrupt(
        `the value is encrypted with the key ${JSON.stringify(keyId)}, and no key is given`,
      );
    return cipher.decrypt(keyId, body, nonce, joined([raw, place], raw.length + place.length));
  }

  #checked({ raw, body, checksum, compression }: SealHeader, place: Uint8Array): Uint8Array {
    if (this.#parts.cipher !== undefined)
      throw corrupt('the value is not encrypted, though keys are given');
    if (checksumOf(raw, place, body) !== checksum)
      throw corrupt('the value is damaged, or belongs to another key or store');
    // The store's own bytes must not be handed out.
    return compression === 'none' ? new Uint8Array(body) : body;
  }

  async #unpacked({ compression, bytes }: SealHeader, packed: Uint8Array): Promise<Uint8Array> {
    const reader = this.#parts.readers.get(compression);
    if (reader === undefined)
      throw failure(
        'unsupported',
        'thaw',
        `the value is compressed by ${compression}; give that in the option decompress`,
      );
    const plain = await reader.decompress(packed, bytes);
    // What Node gives is a Buffer, perhaps a part of a larger one.
    return plain.constructor === Uint8Array ? plain : new Uint8Array(plain);
  }
}

const encoder = new TextEncoder();

/** Most bytes of UTF-8 for a unit of a string. */
const MOST_UNIT_BYTES = 3;

/** Key and store as bytes, each with its length, so that no two places share them. */
function placeOf(operation: string, { key, storeId = '' }: SealContext): Uint8Array {
  for (const text of [storeId, key])
    if (typeof text !== 'string' || !text.isWellFormed())
      throw invalidArgument(
        operation,
        'the context',
        text,
        'key and store id of well-formed Unicode',
      );
  const place = new Uint8Array(8 + MOST_UNIT_BYTES * (storeId.length + key.length));
  return place.subarray(0, written(place, written(place, 0, storeId), key));
}

/** Writes a text and its length; gives where it ends. */
function written(to: Uint8Array, at: number, text: string): number {
  const bytes = encoder.encodeInto(text, to.subarray(at + 4)).written;
  new DataView(to.buffer).setUint32(at, bytes);
  return at + 4 + bytes;
}

function checksumOf(header: Uint8Array, place: Uint8Array, body: Uint8Array): number {
  return crc32(body, crc32(place, crc32(header)));
}
