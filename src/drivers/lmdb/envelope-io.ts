import { crc32 } from 'node:zlib';
import type { EnvelopeIo } from '../../store/feed/envelope.ts';

/** Envelopes are cut from slabs of so much: LMDB's binding asks for the address of each buffer once, and that is not cheap. */
const SLAB_BYTES: number = 256 * 1024;
const LARGE_BYTES: number = 32 * 1024;

let slab: Buffer = Buffer.allocUnsafeSlow(0);
let used = 0;

function alloc(length: number): Uint8Array {
  if (length > LARGE_BYTES) return Buffer.allocUnsafeSlow(length);
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    used = 0;
  }
  const bytes = new Uint8Array(slab.buffer, used, length);
  used += length;
  return bytes;
}

/** How envelopes are made and checked here. */
export const ENVELOPES: EnvelopeIo = { checksum: (bytes) => crc32(bytes), alloc };
