import { describe, expect, it } from 'vitest';
import { jsonWalker } from './json.ts';

const linksOf = async (value: unknown, walker = jsonWalker('to')): Promise<string[]> =>
  Array.fromAsync(walker('k', value));

describe('jsonWalker', () => {
  it('finds strings under the property at any depth, in their order', async () => {
    const value = {
      to: 'a',
      text: 'not this',
      parts: [{ to: ['b', ['c']] }, { deeper: { to: { to: 'd', name: 'nor this' } } }],
      more: { to: null },
    };
    expect(await linksOf(value)).toEqual(['a', 'b', 'c', 'd']);
  });

  it.each([['text'], [5], [null], [true], [[]], [{}]])('finds nothing in %j', async (value) => {
    expect(await linksOf(value)).toEqual([]);
  });

  it('looks into maps and sets', async () => {
    expect(await linksOf(new Map<string, unknown>([['to', new Set(['a', 'b'])]]))).toEqual([
      'a',
      'b',
    ]);
  });

  it('reads links as dag-json writes them', async () => {
    expect(await linksOf({ x: [{ '/': 'bafy' }] }, jsonWalker('/'))).toEqual(['bafy']);
  });

  it('translates links into keys', async () => {
    const walker = jsonWalker('to', { keyOf: (link) => `page:${link}` });
    expect(await linksOf({ to: ['a'] }, walker)).toEqual(['page:a']);
  });

  it('is not stopped by depth', async () => {
    let value: unknown = { to: 'deep' };
    for (let i = 0; i < 100_000; i++) value = { in: [value] };
    expect(await linksOf(value)).toEqual(['deep']);
  });

  it('refuses what may be a link overlooked', async () => {
    await expect(linksOf({ to: 5 })).rejects.toThrow('expected a key');
    await expect(linksOf(new Uint8Array(3))).rejects.toThrow('codec');
    expect(() => jsonWalker(5 as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
    expect(() => jsonWalker('to', { keyof: String } as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});
