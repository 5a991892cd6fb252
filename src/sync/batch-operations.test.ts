import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change, SetChange } from '../store/entry.ts';
import type { Write } from '../store/primitives.ts';
import { OperationsWriter } from './batch-operations.ts';
import { type Operation, toWrites } from './operations.ts';
import { readOperations } from './operations-reader.ts';
import { ProtocolError } from './wire.ts';

const copies = { take: (frame: Uint8Array, start: number, end: number) => frame.slice(start, end) };

function encode(changes: readonly Change<Uint8Array>[]): Uint8Array {
  const writer = new OperationsWriter();
  for (const change of changes)
    if (change.type === 'delete') writer.addDelete(change.key, change.rev);
    else writer.addSet(change, change.value, 'source', `epoch${(change.rev ?? 0) % 3}`);
  writer.finish();
  const block = new Uint8Array(writer.byteLength);
  writer.writeInto(block, 0);
  return block;
}

function decode(block: Uint8Array, pieced?: Uint8Array): Write<Uint8Array>[] {
  const writes: Write<Uint8Array>[] = [];
  readOperations(block, pieced, copies, writes);
  return writes;
}

/** What the other side should make of a change. */
function expected(change: Change<Uint8Array>): Write<Uint8Array> {
  if (change.type === 'delete') return { type: 'delete', key: change.key };
  const { key, value, version, rev = 0, modifiedAt, expiresAt, immutable, meta } = change;
  const own = { store: 'source', epoch: `epoch${rev % 3}`, rev, version };
  return {
    type: 'set',
    key,
    value,
    origin: change.origin ?? own,
    modifiedAt,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(immutable && { immutable }),
    ...(meta && { meta }),
  };
}

const key = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter((k) => k[0] !== '\u0000'),
  fc.integer({ min: 0, max: 1e9 }).map((n) => `key:${n}`),
);
const rev = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const version = fc.oneof(
  fc.integer({ min: 0, max: 1e6 }).map((n) => `AbCdEfGhIjKlMn.${n.toString(36)}`),
  fc.string({ maxLength: 30 }),
);
const origin = fc.record({
  store: fc.constantFrom('upstream', 'other'),
  epoch: fc.constantFrom('e1', 'e2'),
  rev,
  version,
});
const set: fc.Arbitrary<SetChange<Uint8Array>> = fc
  .record(
    {
      type: fc.constant('set' as const),
      key,
      value: fc.uint8Array({ maxLength: 300 }),
      version,
      rev,
      modifiedAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      expiresAt: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
      immutable: fc.constant(true as const),
      meta: fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ maxLength: 20 }), {
        noNullPrototype: true,
      }),
      origin,
    },
    { requiredKeys: ['type', 'key', 'value', 'version', 'rev', 'modifiedAt'] },
  )
  .map((change) => change as SetChange<Uint8Array>);
const change: fc.Arbitrary<Change<Uint8Array>> = fc.oneof(
  { weight: 3, arbitrary: set },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), key, rev }) },
);

describe('operations of a batch', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        expect(decode(encode(changes))).toEqual(changes.map(expected));
      }),
      { numRuns: 300 },
    );
  });

  it('cost about ten bytes a key beside key and value', () => {
    const changes = Array.from(
      { length: 1_000 },
      (_, i): Change<Uint8Array> => ({
        type: 'set',
        key: `key:${String(i).padStart(12, '0')}`,
        value: new Uint8Array(100),
        version: `AbCdEfGhIjKlMn.${(i + 1).toString(36)}`,
        rev: i + 1,
        modifiedAt: 1_893_456_000_000 + i,
      }),
    );
    expect(encode(changes).length).toBeLessThan(1_000 * (16 + 100 + 10));
  });

  it('take a value from its pieces, and say when nobody asked for them', () => {
    const writer = new OperationsWriter();
    const piecedSet: SetChange<unknown> = {
      type: 'set',
      key: 'big',
      value: undefined,
      version: 'v',
      rev: 1,
      modifiedAt: 1,
    };
    writer.addSet(piecedSet, 'pieced', 's', 'e');
    writer.finish();
    const block = new Uint8Array(writer.byteLength);
    writer.writeInto(block, 0);
    const value = Uint8Array.of(1, 2, 3);
    expect(decode(block, value)).toMatchObject([{ key: 'big', value }]);
    expect(() => decode(block)).toThrow(ProtocolError);
    expect(readOperations(encode([]), value, copies, [])).toBe(false);
  });

  it('come out the same where they are packed, damaged ones too', () => {
    const packs = { ...copies, packs: true };
    const read = (block: Uint8Array, values: typeof copies): unknown => {
      const found: Operation<Uint8Array>[] = [];
      try {
        readOperations(block, undefined, values, found);
        return toWrites(found);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        return 'refused';
      }
    };
    const plain = fc.record({
      type: fc.constant('set' as const),
      key,
      value: fc.uint8Array({ maxLength: 1_500 }),
      version,
      rev,
      modifiedAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    }) as fc.Arbitrary<SetChange<Uint8Array>>;
    const some = fc.array(plain, { maxLength: 150 });
    fc.assert(
      fc.property(
        fc.tuple(some, fc.array(change, { maxLength: 3 }), some).map((parts) => parts.flat()),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 2 }),
        (changes, damages) => {
          const block = encode(changes);
          expect(read(block, packs)).toEqual(changes.map(expected));
          for (const [at, byte] of damages) block[at % block.length] = byte;
          expect(read(block, packs)).toEqual(read(block, copies));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keep little in memory of their frame for each that stays', () => {
    const changes = Array.from({ length: 64 }, (_, i) => ({
      type: 'set' as const,
      key: `key:${i}`,
      value: new Uint8Array(i === 40 ? 50_000 : 1_000),
      version: `v.${i}`,
      rev: i * 3,
      modifiedAt: 1,
    }));
    const found: Operation<Uint8Array>[] = [];
    readOperations(encode(changes), undefined, { ...copies, packs: true }, found);
    const sizes = found.map((pack) => {
      expect(pack.type).toBe('sets');
      return pack.type === 'sets' ? pack.valueAt(0).buffer.byteLength : 0;
    });
    expect(sizes.filter((size) => size > 5_096)).toEqual([50_000]);
  });

  it('refuse every damaged block with a ProtocolError, or read something well-formed', () => {
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 20 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        fc.nat(),
        (changes, damages, cut) => {
          const whole = encode(changes);
          const block = whole.slice(0, whole.length - (cut % 3));
          for (const [at, byte] of damages) block[at % block.length] = byte;
          try {
            for (const write of decode(block)) {
              expect(write.key.isWellFormed()).toBe(true);
              expect(write.key.length).toBeGreaterThan(0);
              expect(write.key.charCodeAt(0)).not.toBe(0);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('keep a hostile metadata name an ordinary property', () => {
    const meta = JSON.parse('{"__proto__":{"polluted":true}}');
    const [write] = decode(
      encode([
        {
          type: 'set',
          key: 'k',
          value: new Uint8Array(0),
          version: 'v',
          rev: 1,
          modifiedAt: 1,
          meta,
        },
      ]),
    );
    expect(write).toMatchObject({ type: 'set' });
    const read = write?.type === 'set' ? write.meta : undefined;
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(Object.keys(read ?? {})).toEqual(['__proto__']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
