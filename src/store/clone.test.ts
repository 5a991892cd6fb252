import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cloneValue, sameBytes, sameValue } from './clone.ts';

/** Every object within a value. */
function parts(value: unknown, found: Set<object> = new Set()): Set<object> {
  if (typeof value !== 'object' || value === null || found.has(value)) return found;
  found.add(value);
  const inner =
    value instanceof Map || value instanceof Set ? [...value].flat() : Object.values(value);
  for (const part of inner) parts(part, found);
  return found;
}

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withObjectString: true,
});

describe('cloneValue', () => {
  it('gives what structuredClone gives, and shares nothing with the original', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const copy = cloneValue(value);
        expect(copy).toEqual(structuredClone(value));
        const originals = parts(value);
        for (const part of parts(copy)) expect(originals.has(part)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('copies what is deep, cyclic or shared', () => {
    let deep: unknown = { end: true };
    for (let i = 0; i < 500; i++) deep = i % 2 ? [deep] : { deep };
    expect(cloneValue(deep)).toEqual(deep);
    const cyclic: { self?: unknown; list: unknown[] } = { list: [] };
    cyclic.self = cyclic;
    cyclic.list.push(cyclic.list);
    const copy = cloneValue(cyclic);
    expect(copy).not.toBe(cyclic);
    expect(copy.self).toBe(copy);
    expect(copy.list[0]).toBe(copy.list);
  });

  it('keeps odd members as they are, and sets no prototype', () => {
    const odd = JSON.parse('{"__proto__":{"own":1},"constructor":2,"toString":3}');
    const copy = cloneValue(odd);
    expect(Object.keys(copy)).toEqual(['__proto__', 'constructor', 'toString']);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(({} as { own?: number }).own).toBeUndefined();
    expect(Object.is(cloneValue(-0), -0)).toBe(true);
    expect(cloneValue([undefined, Number.NaN])).toEqual([undefined, Number.NaN]);
  });

  it('takes a part of a larger buffer alone, and gives plain bytes for special ones', () => {
    const part = Buffer.from('abcdef').subarray(2, 4);
    const copy = cloneValue({ part }).part;
    expect(copy.constructor).toBe(Uint8Array);
    expect([...copy]).toEqual([99, 100]);
    expect(copy.buffer.byteLength).toBe(2);
  });

  it.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a function within', { list: [{ fn: () => 1 }] }],
    ['a symbol within', [Symbol('s')]],
    ['a promise', Promise.resolve(1)],
    ['a weak map', { deep: new WeakMap() }],
    ['a function in a map', new Map([['a', () => 1]])],
  ])('refuses %s', (_, value) => {
    expect(() => cloneValue<unknown>(value)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});

describe('sameValue', () => {
  const data = fc.anything({ withBigInt: true, withDate: true, withTypedArray: false });

  it('calls a copy of plain data the same, and only what is', () => {
    fc.assert(
      fc.property(data, data, (a, b) => {
        expect(sameValue(a, structuredClone(a))).toBe(true);
        if (sameValue(a, b)) expect(a).toEqual(b);
      }),
      { numRuns: 1_000 },
    );
  });

  it('compares bytes by content', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(sameBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
        expect(sameValue(a, b)).toBe(Buffer.compare(a, b) === 0);
        expect(sameValue({ a }, { a: a.slice() })).toBe(true);
      }),
    );
  });

  it.each([
    [{ a: 1 }, { a: 1, b: undefined }],
    [{ a: undefined }, { b: undefined }],
    [[1], [1, 2]],
    [[], {}],
    [null, {}],
    [0, -0],
    [1, '1'],
    [new Date(0), new Date(1)],
    [{ constructor: 1 }, {}],
  ])('tells %j from %j', (a, b) => {
    expect(sameValue(a, b)).toBe(false);
    expect(sameValue(b, a)).toBe(false);
  });
});
