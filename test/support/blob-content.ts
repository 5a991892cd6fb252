/** Content for tests of blobs. */
import { createHash } from 'node:crypto';

/** Sizes that give small contents many chunks. */
export const SMALL = { minBytes: 64, meanBytes: 256, maxBytes: 1_024 };

/** The ref that some bytes must get. */
export function shaOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes that do not repeat, the same in each run. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** All parts of a stream as one. */
export async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(parts));
}
