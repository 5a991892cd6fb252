import { isStrataError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import { ConformanceError, sameData } from './assert.ts';

/** Values to try a store with. */
export interface SampleValues<V = unknown> {
  /** Shown in the names of cases. */
  readonly name: string;
  /** Value number `n`: distinct numbers give distinct values, the same number equal ones, each fresh. */
  nth(n: number): V;
  /** Fresh values that are easily lost or changed: empty, falsy, large, odd. All must come back as they are. */
  special(): readonly V[];
  /** Values that the store must refuse with `invalid-argument`; none where it takes anything. */
  readonly refused: readonly unknown[];
  /** Changes a value in place, for the cases on aliasing; absent where values cannot be changed. */
  spoil?(value: V): void;
}

const encoder = new TextEncoder();

/** For stores of bytes. */
export const byteValues: SampleValues<Uint8Array> = {
  name: 'bytes',
  nth: (n) => encoder.encode(`value ${n}`),
  special: () => [
    new Uint8Array(0),
    Uint8Array.of(0),
    Uint8Array.of(0, 255, 0, 254, 128),
    // A view into larger memory: its neighbours are not part of it.
    Uint8Array.of(1, 2, 3, 4, 5, 6).subarray(2, 4),
    Uint8Array.from({ length: 256 }, (_, i) => i),
    Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) & 255),
    encoder.encode('null'),
    encoder.encode('undefined'),
  ],
  refused: ['text', 1, null, true, { a: 1 }, [1, 2], () => 1],
  spoil: (value) => {
    value.fill(0xee);
  },
};

const jsonSpecial = (): unknown[] => [
  null,
  false,
  true,
  0,
  1.5,
  -1e300,
  '',
  '456',
  'null',
  '\u0000 ☃ 😀 \u2028',
  [],
  {},
  [null, [[]], { a: [1, { b: null }] }],
  Object.fromEntries(['constructor', 'toString', 'length', 'then'].map((name) => [name, 1])),
  { type: 'delete', key: 'x', value: null, version: 'y', rev: 1 },
  'long '.repeat(40_000),
];

const numbered = (n: number): { n: number; tags: string[] } => ({ n, tags: [`tag ${n}`, 'all'] });

function spoilObject(value: unknown): void {
  const { tags } = value as { tags: string[] };
  tags.push('spoilt');
  (value as { n: number }).n = -1;
}

/** For stores whose codec is JSON or something as able. */
export const jsonValues: SampleValues<unknown> = {
  name: 'json',
  nth: numbered,
  special: jsonSpecial,
  refused: [() => 1, Symbol('s')],
  spoil: spoilObject,
};

/** For stores of anything that the structured clone algorithm carries. */
export const structuredValues: SampleValues<unknown> = {
  name: 'structured',
  nth: numbered,
  special: () => [
    ...jsonSpecial(),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    10n ** 30n,
    new Date(0),
    new Map<unknown, unknown>([['a', new Set([1, 2])]]),
    new Set(['x']),
    JSON.parse('{"__proto__":{"own":true},"b":1}'),
    [undefined, null],
    { none: undefined },
    { bytes: Uint8Array.of(1, 2, 3) },
    Uint8Array.of(9, 8, 7),
  ],
  refused: [() => 1, Symbol('s'), { fn: () => 1 }],
  spoil: spoilObject,
};

/** For stores whose codec is plain text. */
export const textValues: SampleValues<string> = {
  name: 'text',
  nth: (n) => `value ${n}`,
  special: () => jsonSpecial().filter((value) => typeof value === 'string'),
  refused: [1, null, true, {}, ['x'], Uint8Array.of(97), () => 'x', 'a lone \ud800'],
};

/** Sample values from the richest to the poorest, each with a value that the ones before cannot have. */
const KINDS: readonly (readonly [values: SampleValues, probe: unknown])[] = [
  [structuredValues, new Map([['a', new Date(0)]])],
  [jsonValues, { a: [null] }],
  [byteValues as SampleValues, Uint8Array.of(0, 255)],
  [textValues as SampleValues, 'text'],
];

/** The richest sample values that a store takes, found by trying. */
export async function fittingValues(store: Store<unknown>): Promise<SampleValues> {
  for (const [values, probe] of KINDS) {
    try {
      await store.set('probe', probe);
    } catch (error) {
      if (isStrataError(error, 'invalid-argument')) continue;
      throw error;
    }
    if (sameData(await store.get('probe'), probe)) return values;
  }
  throw new ConformanceError('the store takes none of the sample values; give the factory its own');
}
