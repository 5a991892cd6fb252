import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Position } from '../primitives.ts';
import { checkPosition, fromCursor, toCursor } from './cursor.ts';

const head: Position = { epoch: 'e1', rev: 20, id: 'id20' };
const known = {
  head,
  floor: 5,
  idOf: (rev: number) => (rev >= 8 ? `id${rev}` : undefined),
};

describe('cursors', () => {
  it('give back the position they were made of', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
    fc.assert(
      fc.property(
        fc.record({ epoch: word, rev: fc.maxSafeNat(), id: fc.oneof(word, fc.constant('')) }),
        (position) => {
          expect(fromCursor('watch', toCursor(position))).toEqual(position);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('are distinct for distinct positions', () => {
    const positions = ['e', 'e1'].flatMap((epoch) =>
      [0, 1, 11].flatMap((rev) => ['', '1', '11'].map((id) => ({ epoch, rev, id }))),
    );
    expect(new Set(positions.map(toCursor)).size).toBe(positions.length);
  });

  it.each(['', '.', 'a.b', '.1.x', 'a..x', 'a.1', 'a.1.x.y', 'a.1.x ', 'a.A.x', 'ä.1.x', 5, null])(
    'are told from %j',
    (bad) => {
      expect(() => fromCursor('watch', bad)).toThrow(
        expect.objectContaining({ code: 'invalid-argument', operation: 'watch' }),
      );
    },
  );

  it('are told from numbers too large to be a revision', () => {
    expect(() => fromCursor('watch', 'e.zzzzzzzzzzz.x')).toThrow(/is no cursor/);
  });
});

describe('checkPosition', () => {
  const check = (position: Partial<Position>): void =>
    checkPosition('watch', { ...head, ...position }, known);

  it('accepts the head, and what is known behind it', () => {
    check({});
    check({ rev: 8, id: 'id8' });
  });

  it.each<[string, Partial<Position>, RegExp]>([
    ['another epoch', { epoch: 'e2' }, /another epoch/],
    ['the future', { rev: 21, id: 'id21' }, /ahead of the head, 20/],
    ['below the floor', { rev: 4, id: 'id4' }, /below the floor, 5/],
    ['a forgotten commit', { rev: 6, id: 'id6' }, /no longer knows/],
    ['another commit', { rev: 9, id: 'id8' }, /another commit/],
    ['another commit at the head', { id: 'other' }, /another commit/],
    ['the beginning, which is below the floor', { rev: 0, id: '' }, /below the floor/],
  ])('refuses %s', (_, position, why) => {
    expect(() => check(position)).toThrow(expect.objectContaining({ code: 'cursor-expired' }));
    expect(() => check(position)).toThrow(why);
  });

  it('accepts the beginning of a store that remembers all', () => {
    const young = { head, floor: 0, idOf: () => undefined };
    expect(() => checkPosition('watch', { epoch: 'e1', rev: 0, id: '' }, young)).not.toThrow();
    expect(() => checkPosition('watch', { epoch: 'e1', rev: 0, id: 'x' }, young)).toThrow(
      /another commit/,
    );
  });
});
