import type { IndexPlace } from '../../store/feed/plan.ts';
import { readUint48, writeUint48 } from '../../store/version.ts';

/** A place as bytes: revision in 48 bits, position in 32, big-endian, so that bytes order as places do. */
export const PLACE_BYTES = 10;

export function placeBytes({ rev, pos }: IndexPlace): Buffer {
  const bytes = Buffer.allocUnsafe(PLACE_BYTES);
  writePlace(rev, pos, bytes, 0);
  return bytes;
}

export function writePlace(rev: number, pos: number, into: Buffer, offset: number): void {
  writeUint48(rev, into, offset);
  into.writeUInt32BE(pos, offset + 6);
}

export function readPlace(bytes: Buffer, offset = 0): IndexPlace {
  return { rev: readUint48(bytes, offset), pos: bytes.readUInt32BE(offset + 6) };
}

/** Key of an entry's record in the table of expiries. */
export function expiryBytes(expiresAt: number, { rev, pos }: IndexPlace): Buffer {
  const bytes = Buffer.allocUnsafe(6 + PLACE_BYTES);
  writeUint48(Math.min(expiresAt, MAX_TIME_MS), bytes, 0);
  writePlace(rev, pos, bytes, 6);
  return bytes;
}

/** Times are kept in 48 bits. */
export const MAX_TIME_MS: number = 2 ** 48 - 1;

/** A revision as a key. */
export function revBytes(rev: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  writeUint48(rev, bytes, 0);
  return bytes;
}
