import { describe, expect, it } from 'vitest';
import { toLogical } from './reply.ts';

const words = (...all: string[]): Buffer[] => all.map((word) => Buffer.from(word));

describe('what a server replies', () => {
  it('gives the fields of a hash the times that the server has of them', () => {
    const content = words('a', '1', 'b', '2', 'c', '3');
    const fieldTimes = [-1, 1_700_000_000_123, -1];
    const value = toLogical('hash', { content, fieldTimes });
    expect(value?.type === 'hash' && value.fields.map(({ expiresAt }) => expiresAt)).toEqual([
      0, 1_700_000_000_123, 0,
    ]);
  });

  it('gives scores as the server writes them', () => {
    const content = words(
      'a',
      '-0',
      'b',
      'inf',
      'c',
      '-inf',
      'd',
      '5e-324',
      'e',
      '0.10000000000000001',
    );
    const value = toLogical('zset', { content, fieldTimes: [] });
    expect(value?.type === 'zset' && value.members.map(({ score }) => score)).toEqual([
      -0,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      5e-324,
      0.1,
    ]);
  });

  it('has no logical form for the type of a module', () => {
    expect(toLogical('ReJSON-RL', { content: [], fieldTimes: [] })).toBeUndefined();
  });
});
