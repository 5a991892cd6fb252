import { failure, type StrataError } from '../../store/errors.ts';

/** What a sealed value says of itself. */
export interface SealInfo {
  /** How it was made smaller; `none` where that would not have helped. */
  readonly compression: 'none' | 'gzip' | 'zstd';
  /** Which key it is encrypted with; absent where it is not encrypted. */
  readonly keyId?: string;
  /** Length of the value before sealing. */
  readonly bytes: number;
}

/** The header with what only opening needs. */
export interface SealHeader extends SealInfo {
  /** The header's own bytes, which are authenticated or summed with the value. */
  readonly raw: Uint8Array;
  /** Of an encrypted value. */
  readonly nonce?: Uint8Array<ArrayBuffer>;
  /** What follows the header and, of a value that is not encrypted, its sum. */
  readonly body: Uint8Array;
  readonly checksum?: number;
}

/*
 * magic (3) · format (1) · compression (1) · cipher (1) · length of the value (4, big-endian)
 * encrypted: length of the key id (1) · key id · nonce (12) · ciphertext and tag
 * else:      CRC-32 of header, context and body (4) · body
 */

/** Begins with a byte that no UTF-8 has, so that no text is taken for it. */
const MAGIC = [0xf5, 0x53, 0x4c] as const;
const FORMAT = 1;
const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;
const FIXED_BYTES = 10;
const CRC_BYTES = 4;
export const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Longest key id, in bytes of UTF-8. */
export const MAX_KEY_ID_BYTES = 64;

/** What sealing adds at most. */
export const OVERHEAD_BYTES: number = FIXED_BYTES + 1 + MAX_KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The header of a value; with a key it ends with the nonce. */
export function writeHeader(info: SealInfo, nonce?: Uint8Array): Uint8Array {
  const keyId = info.keyId === undefined ? undefined : encoder.encode(info.keyId);
  const encrypted = keyId !== undefined && nonce !== undefined;
  const header = new Uint8Array(FIXED_BYTES + (encrypted ? 1 + keyId.length + nonce.length : 0));
  header.set(MAGIC);
  header[3] = FORMAT;
  header[4] = COMPRESSIONS.indexOf(info.compression);
  header[5] = encrypted ? 1 : 0;
  new DataView(header.buffer).setUint32(6, info.bytes);
  if (encrypted) {
    header[FIXED_BYTES] = keyId.length;
    header.set(keyId, FIXED_BYTES + 1);
    header.set(nonce, FIXED_BYTES + 1 + keyId.length);
  }
  return header;
}

/** Reads the header of a sealed value; `corrupt` for anything else, and for a format that is newer. */
export function readHeader(sealed: Uint8Array): SealHeader {
  if (sealed.length < FIXED_BYTES || MAGIC.some((byte, at) => sealed[at] !== byte))
    throw corrupt(`${sealed.length} bytes are no sealed value`);
  const compression = COMPRESSIONS[sealed[4] as number];
  const cipher = sealed[5] as number;
  if (sealed[3] !== FORMAT || compression === undefined || cipher > 1)
    throw corrupt(
      `the value is sealed in the format ${sealed.slice(3, 6).join('.')}, which is unknown`,
    );
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const info = { compression, bytes: view.getUint32(6) };
  if (cipher === 1) return { ...info, ...readEncrypted(sealed) };
  const bodyAt = FIXED_BYTES + CRC_BYTES;
  if (sealed.length < bodyAt) throw corrupt('the sealed value is cut short');
  return {
    ...info,
    raw: sealed.subarray(0, FIXED_BYTES),
    checksum: view.getUint32(FIXED_BYTES),
    body: sealed.subarray(bodyAt),
  };
}

function readEncrypted(
  sealed: Uint8Array,
): Required<Pick<SealHeader, 'keyId' | 'nonce' | 'raw' | 'body'>> {
  const idAt = FIXED_BYTES + 1;
  const nonceAt = idAt + (sealed[FIXED_BYTES] ?? 0);
  const bodyAt = nonceAt + NONCE_BYTES;
  if (sealed.length < bodyAt + TAG_BYTES) throw corrupt('the sealed value is cut short');
  return {
    keyId: decodeKeyId(sealed.subarray(idAt, nonceAt)),
    nonce: Uint8Array.from(sealed.subarray(nonceAt, bodyAt)),
    raw: sealed.subarray(0, bodyAt),
    body: sealed.subarray(bodyAt),
  };
}

function decodeKeyId(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw corrupt('the key id of the sealed value is no UTF-8', cause);
  }
}

/** What a sealed value says of itself, without opening it: to find what a key is still needed for. */
export function sealInfo(sealed: Uint8Array): SealInfo {
  const { compression, keyId, bytes } = readHeader(sealed);
  return { compression, bytes, ...(keyId !== undefined && { keyId }) };
}

/** Says that sealed bytes are not what was sealed. */
export function corrupt(what: string, cause?: unknown): StrataError {
  return failure('corrupt', 'thaw', what, { cause });
}
