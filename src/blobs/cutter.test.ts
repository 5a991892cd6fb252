import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noise } from '../../test/support/blob-content.ts';
import { Cutter } from './cutter.ts';

const SIZES = { min: 1_024, mean: 4_096, max: 16_384 };

function cut(
  bytes: Uint8Array,
  pieces: readonly number[] = [bytes.length],
  sizes = SIZES,
): Uint8Array[] {
  const cutter = new Cutter(sizes);
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const length of pieces) {
    chunks.push(...cutter.push(bytes.slice(at, at + length)));
    at += length;
  }
  chunks.push(...cutter.push(bytes.subarray(at)));
  const last = cutter.finish();
  return last === undefined ? chunks : [...chunks, last];
}

const digest = (chunk: Uint8Array): string => createHash('sha256').update(chunk).digest('hex');

describe('the cutter', () => {
  it('cuts the same bytes into the same chunks for ever', () => {
    const lengths = cut(noise(60_000)).map(({ length }) => length);
    expect(lengths).toMatchInlineSnapshot(`
      [
        6532,
        1563,
        4354,
        2452,
        4359,
        5682,
        4562,
        4456,
        4215,
        2837,
        5139,
        4208,
        5619,
        3969,
        53,
      ]
    `);
  });

  it('gives all bytes, within the bounds, however they come', () => {
    const property = fc.property(
      fc.integer({ min: 0, max: 60_000 }),
      fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 12 }),
      fc.integer(),
      (length, pieces, seed) => {
        const bytes = noise(length, seed);
        const chunks = cut(bytes, pieces);
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
        expect(chunks.map(digest)).toEqual(cut(bytes).map(digest));
        for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(SIZES.max);
        for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThan(SIZES.min);
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  it('has about the mean, and copes with bytes that are all the same', () => {
    const chunks = cut(noise(4_000_000));
    expect(4_000_000 / chunks.length).toBeGreaterThan(SIZES.mean * 0.8);
    expect(4_000_000 / chunks.length).toBeLessThan(SIZES.mean * 1.6);
    const flat = cut(new Uint8Array(100_000));
    expect(new Set(flat.slice(0, -1).map(digest)).size).toBe(1);
  });

  it('cuts anew only near a change', () => {
    const before = noise(1_000_000);
    const known = new Set(cut(before).map(digest));
    for (const at of [0, 333_333, 999_999]) {
      const after = Buffer.concat([
        before.subarray(0, at),
        Buffer.from('put in'),
        before.subarray(at),
      ]);
      const fresh = cut(after).filter((chunk) => !known.has(digest(chunk)));
      expect(fresh.length).toBeLessThanOrEqual(4);
    }
  });
});
