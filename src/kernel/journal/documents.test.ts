/** What a journal keeps: whatever happens to its bytes, nothing is read that was not written. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../store/checksum.ts';
import { json, raw, text } from '../../store/codec.ts';
import { approximateBytes } from './approximate-bytes.ts';
import { Documents } from './documents.ts';

const values = [
  { key: 'a', value: { deep: ['x', 1, null] } },
  { key: 'b', value: '' },
];

const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'no error';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('a document of bytes', () => {
  const documents = new Documents('bytes', json());
  const pack = (): Uint8Array => documents.pack('set', { n: 1 }, values).stored as Uint8Array;

  it('comes back', () => {
    expect(documents.unpack(pack())).toEqual({
      body: { n: 1 },
      values: values.map(({ value }) => value),
    });
    expect(documents.pack('set', {}, values).bytes).toBeGreaterThan(30);
    // A view into larger memory is as good.
    const larger = new Uint8Array(pack().length + 7);
    larger.set(pack(), 7);
    expect(documents.unpack(larger.subarray(7)).body).toEqual({ n: 1 });
    expect(documents.unpack(documents.pack('open', { only: 'this' }).stored)).toEqual({
      body: { only: 'this' },
      values: [],
    });
  });

  it('is known to be damaged at any place', () => {
    const sound = pack();
    for (let at = 0; at < sound.length; at++)
      for (const flip of [1, 128, 255]) {
        const broken = sound.slice();
        broken[at] = (broken[at] as number) ^ flip;
        expect(codeOf(() => documents.unpack(broken))).toBe('corrupt');
      }
    for (let length = 0; length < sound.length; length++)
      expect(codeOf(() => documents.unpack(sound.subarray(0, length)))).toBe('corrupt');
    const longer = new Uint8Array(sound.length + 1);
    longer.set(sound);
    expect(codeOf(() => documents.unpack(longer))).toBe('corrupt');
  });

  it('is never read as anything else, even with a checksum that fits', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), (bytes) => {
        const whole = new Uint8Array(5 + bytes.length);
        whole[4] = 1;
        whole.set(bytes, 5);
        new DataView(whole.buffer).setUint32(0, crc32(whole.subarray(4)));
        expect(['corrupt', 'no error']).toContain(codeOf(() => documents.unpack(whole)));
      }),
    );
  });

  it('of a newer format is refused', () => {
    const newer = pack();
    newer[4] = 2;
    new DataView(newer.buffer).setUint32(0, crc32(newer.subarray(4)));
    expect(codeOf(() => documents.unpack(newer))).toBe('unsupported');
  });

  it('of another codec is refused, and not taken for damaged', () => {
    expect(codeOf(() => new Documents('bytes', text()).unpack(pack()))).toBe('invalid-argument');
    expect(codeOf(() => new Documents('bytes', undefined).unpack(pack()))).toBe('invalid-argument');
    const bare = documents.pack('open', { n: 2 }).stored;
    expect(new Documents('bytes', text()).unpack(bare).body).toEqual({ n: 2 });
  });

  it('that its codec cannot read is damaged', () => {
    const other = { ...text(), name: 'json' };
    const stored = new Documents('bytes', other).pack('set', {}, [{ key: 'a', value: '{' }]).stored;
    expect(codeOf(() => documents.unpack(stored))).toBe('corrupt');
    const nothing = { ...json(), decode: () => undefined };
    expect(codeOf(() => new Documents('bytes', nothing).unpack(pack()))).toBe('corrupt');
  });

  it('holds bytes without a codec, and refuses the rest by name', () => {
    const bare = new Documents('bytes', undefined);
    const value = Uint8Array.of(0, 255);
    const { stored } = bare.pack('set', {}, [{ key: 'a', value }]);
    expect(bare.unpack(stored).values).toEqual([value]);
    expect(new Documents('bytes', raw()).unpack(stored).values).toEqual([value]);
    expect(() => bare.pack('set', {}, [{ key: 'a', value: { b: 1 } }])).toThrow(/"a".*codec/);
    expect(() => documents.pack('set', {}, [{ key: 'a', value: 1n }])).toThrow(/"a"/);
    expect(codeOf(() => documents.pack('set', {}, [{ key: 'a', value: 1n }]))).toBe(
      'invalid-argument',
    );
  });
});

describe('a document of any values', () => {
  const documents = new Documents('plain', undefined);

  it('comes back', () => {
    const value = new Map([['a', new Date(1)]]);
    const { stored, bytes } = documents.pack('set', { n: 1 }, [{ key: 'a', value }]);
    expect(documents.unpack(structuredClone(stored))).toEqual({ body: { n: 1 }, values: [value] });
    expect(bytes).toBeGreaterThan(20);
  });

  it('is known when it is none', () => {
    const newer = { format: 2, body: {}, values: [] };
    expect(codeOf(() => documents.unpack(newer))).toBe('unsupported');
    for (const stored of [undefined, null, 1, 'x', {}, [], { format: 1, body: {} }])
      expect(codeOf(() => documents.unpack(stored))).toBe('corrupt');
  });
});

it('estimates sizes, also of what has no end', () => {
  expect(approximateBytes('x'.repeat(1_000))).toBe(2_000);
  expect(approximateBytes([new Uint8Array(1_000)])).toBeGreaterThan(1_000);
  expect(approximateBytes({ a: new Map([['b', 'c'.repeat(50)]]) })).toBeGreaterThan(100);
  const cyclic: unknown[] = [];
  cyclic.push(cyclic, cyclic);
  expect(approximateBytes(cyclic)).toBeGreaterThan(1_000);
});
