import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../testing/index.ts';
import { crc32 } from '../checksum.ts';
import type { Meta, Origin } from '../entry.ts';
import { versionText, WriteIds } from '../version.ts';
import { Envelope, type EnvelopeFields, encodeEnvelope, WRITE_ID_RANGE } from './envelope.ts';

const io = { checksum: crc32, alloc: (length: number) => new Uint8Array(length) };
const ids = new WriteIds(simulatedEnv());

const fields = fc
  .record({
    rev: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    pos: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    modifiedAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    expiresAt: fc.option(fc.integer({ min: 0, max: 2 ** 48 - 1 }), { nil: undefined }),
    immutable: fc.constantFrom(true as const, undefined),
    meta: fc.option(fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<Meta>, {
      nil: undefined,
    }),
    origin: fc.option(
      fc.record({
        store: fc.string(),
        epoch: fc.string({ unit: 'binary' }),
        rev: fc.nat(),
        version: fc.string(),
      }) satisfies fc.Arbitrary<Origin>,
      { nil: undefined },
    ),
  })
  .map((given) => {
    const count = ids.next();
    return {
      ...given,
      count,
      writeId: (into: Uint8Array, at: number) => ids.write(count, into, at),
    };
  });

describe('the stored envelope', () => {
  it('gives back what it was made of', () => {
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 300 }), (given, value) => {
        const envelope = new Envelope(io, 'k', encodeEnvelope(io, given, value));
        const { rev, modifiedAt, expiresAt, immutable, meta, origin } = given;
        expect(envelope.value).toEqual(value);
        expect(envelope.rev).toBe(rev);
        expect(envelope.pos).toBe(given.pos);
        expect(envelope.expiresAt).toBe(expiresAt);
        expect(envelope.immutable).toBe(immutable === true);
        expect(envelope.version).toBe(ids.text(given.count));
        expect(envelope.head()).toEqual({
          key: 'k',
          version: ids.text(given.count),
          rev,
          modifiedAt,
          ...(expiresAt !== undefined && { expiresAt }),
          ...(immutable && { immutable }),
          ...(meta !== undefined && { meta: JSON.parse(JSON.stringify(meta)) }),
          ...(origin !== undefined && { origin }),
        });
        expect(envelope.head(7).rev).toBe(7);
        const [start] = WRITE_ID_RANGE;
        expect(versionText(envelope.bytes, start)).toBe(envelope.version);
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes each single flipped bit for damage, and every shortening', () => {
    const given: EnvelopeFields = {
      rev: 77,
      pos: 3,
      modifiedAt: 1.7e12,
      expiresAt: 1.8e12,
      meta: { a: [1, 'two'] },
      origin: { store: 's', epoch: 'e', rev: 5, version: 'v' },
      writeId: (into, at) => ids.write(1, into, at),
    };
    const good = encodeEnvelope(io, given, new TextEncoder().encode('the value'));
    const read = (bytes: Uint8Array): Envelope => new Envelope(io, 'k', bytes);
    expect(read(good).rev).toBe(77);
    const damaged = expect.objectContaining({ code: 'corrupt', key: 'k' });
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bytes = good.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => read(bytes), `bit ${bit}`).toThrow(damaged);
    }
    for (let length = 0; length < good.length; length++)
      expect(() => read(good.slice(0, length)), `${length} bytes`).toThrow(damaged);
  });

  it('says which format it found when it is a newer one', () => {
    const bytes = encodeEnvelope(
      io,
      { rev: 1, pos: 0, modifiedAt: 0, writeId: () => {} },
      new Uint8Array(3),
    );
    bytes[4] = 2;
    const checksum = crc32(bytes.subarray(4));
    new DataView(bytes.buffer).setUint32(0, checksum);
    expect(() => new Envelope(io, 'k', bytes)).toThrow(/its format is 2; this version reads 1/);
  });
});
