import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeLogical, encodeLogical, type LogicalValue } from './format.ts';
import type { StreamValue } from './stream.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const time = fc.oneof(fc.constant(0), fc.nat(), fc.maxSafeNat());
const id = fc
  .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
  .map(([ms, sequence]) => `${ms}-${sequence}`);
const pending = fc.record({ id, deliveredAt: time, deliveries: fc.nat() });
const stream: fc.Arbitrary<StreamValue> = fc.record({
  type: fc.constant('stream' as const),
  lastId: id,
  maxDeletedId: id,
  entriesAdded: fc.maxSafeNat(),
  entries: fc.array(
    fc.record({
      id,
      words: fc.array(fc.tuple(bytes, bytes), { minLength: 1 }).map((all) => all.flat()),
    }),
  ),
  groups: fc.array(
    fc.record({
      name: bytes,
      lastId: id,
      entriesRead: fc.option(fc.nat(), { nil: undefined }),
      consumers: fc.array(fc.record({ name: bytes, pending: fc.array(pending) })),
    }),
  ),
});
const value: fc.Arbitrary<LogicalValue> = fc.oneof(
  fc.record({ type: fc.constant('string' as const), value: bytes }),
  fc.record({ type: fc.constantFrom('list' as const, 'set' as const), members: fc.array(bytes) }),
  fc.record({
    type: fc.constant('zset' as const),
    members: fc.array(fc.record({ member: bytes, score: fc.double({ noNaN: true }) })),
  }),
  fc.record({
    type: fc.constant('hash' as const),
    fields: fc.array(fc.record({ field: bytes, value: bytes, expiresAt: time })),
  }),
  stream,
);

/** Buffers and arrays of bytes alike. */
const plain = (one: LogicalValue): unknown =>
  JSON.parse(
    JSON.stringify(one, (_, part) => {
      if (typeof part === 'number') return Object.is(part, -0) ? '-0' : String(part);
      if (part instanceof Uint8Array) return Buffer.from(part).toString('hex');
      return part?.type === 'Buffer' ? Buffer.from(part.data).toString('hex') : part;
    }),
  );

describe('the logical form of a value', () => {
  it('is read as it was written, whatever the value', () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(plain(decodeLogical(encodeLogical(one)))).toEqual(plain(one));
      }),
    );
  });

  it('keeps scores to the last bit', () => {
    const scores = [-0, 0, 1 / 3, 5e-324, 1.7976931348623157e308, Infinity, -Infinity, 2 ** 53 + 2];
    const members = scores.map((score, at) => ({ member: Buffer.from([at]), score }));
    const read = decodeLogical(encodeLogical({ type: 'zset', members }));
    expect(read.type === 'zset' && read.members.map(({ score }) => score)).toEqual(scores);
  });

  it('is the same bytes for ever', () => {
    const hex = (one: LogicalValue): string => Buffer.from(encodeLogical(one)).toString('hex');
    const text = (word: string): Uint8Array => new TextEncoder().encode(word);
    expect(hex({ type: 'string', value: text('hello') })).toBe('01000568656c6c6f09771fdf');
    const fields = [{ field: text('f'), value: text('v'), expiresAt: 300 }];
    expect(hex({ type: 'hash', fields })).toBe('01040101660176ac020a1db5a5');
  });

  it('finds every changed bit and every missing end', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(7), (one, at, bit) => {
        const whole = encodeLogical(one);
        const place = at % whole.length;
        const damaged = whole.with(place, (whole[place] as number) ^ (1 << bit));
        for (const wrong of [damaged, whole.subarray(0, place)])
          expect(() => decodeLogical(wrong)).toThrow(expect.objectContaining({ code: 'corrupt' }));
      }),
    );
  });
});
