import * as fc from 'fast-check';
import * as msgpackr from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { type Codec, json, messagePack, raw, text } from './codec.ts';

const refused = expect.objectContaining({ code: 'invalid-argument', operation: 'encode' });
const corrupt = expect.objectContaining({ code: 'corrupt', operation: 'decode' });

describe('json', () => {
  it('gives back every JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(json().decode(json().encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it.each([undefined, () => 1, Symbol('s'), Number.NaN, Infinity, 1n, [1n]])(
    'refuses %s',
    (value) => {
      expect(() => json().encode(value)).toThrow(refused);
    },
  );

  it('refuses a cycle', () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(() => json().encode(cyclic)).toThrow(refused);
  });

  it.each(['', '{', 'undefined', '\ufeff1', '01'])('takes %j for damage', (bytes) => {
    expect(() => json().decode(new TextEncoder().encode(bytes))).toThrow(corrupt);
  });

  it('takes bytes that are no UTF-8 for damage', () => {
    expect(() => json().decode(Uint8Array.of(34, 0xff, 34))).toThrow(corrupt);
  });
});

describe('text', () => {
  it('gives back every well-formed string, and refuses the others', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        if (value.isWellFormed()) expect(text().decode(text().encode(value))).toBe(value);
        else expect(() => text().encode(value)).toThrow(refused);
      }),
    );
    expect(text().decode(text().encode('\ufeffmarked'))).toBe('\ufeffmarked');
    expect(() => text().encode(5 as unknown as string)).toThrow(refused);
    expect(() => text().decode(Uint8Array.of(0xc3))).toThrow(corrupt);
  });
});

describe('raw', () => {
  it('copies bytes both ways', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const encoded = raw().encode(bytes);
    bytes.fill(9);
    expect([...encoded]).toEqual([1, 2, 3]);
    const decoded = raw().decode(encoded);
    encoded.fill(9);
    expect([...decoded]).toEqual([1, 2, 3]);
    expect(() => raw().encode('abc' as unknown as Uint8Array)).toThrow(refused);
  });
});

describe('messagePack', () => {
  const codec: Codec<unknown> = messagePack(msgpackr);

  it('gives back data with dates and bytes', () => {
    const value = { when: new Date(5), bytes: Uint8Array.of(1, 2), list: [null, 'x', -1.5] };
    const decoded = codec.decode(codec.encode(value)) as typeof value;
    expect(decoded.when).toEqual(value.when);
    expect([...decoded.bytes]).toEqual([1, 2]);
    expect(decoded.list).toEqual(value.list);
  });

  it('shares nothing with the buffer that the packer uses again', () => {
    const first = codec.encode({ a: 'one' });
    const kept = first.slice();
    for (let i = 0; i < 50; i++) codec.encode({ a: `other ${i}` });
    expect(first).toEqual(kept);
  });

  it.each([undefined, () => 1, Symbol('s'), 10n ** 30n])('refuses %s', (value) => {
    expect(() => codec.encode(value)).toThrow(refused);
  });

  it('takes what it cannot read for damage', () => {
    expect(() => codec.decode(new Uint8Array(0))).toThrow(corrupt);
    expect(() => codec.decode(Uint8Array.of(0x93, 1))).toThrow(corrupt);
  });
});
