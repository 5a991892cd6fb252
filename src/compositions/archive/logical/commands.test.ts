import { describe, expect, it } from 'vitest';
import { commandsOf, MOST_WORDS } from './commands.ts';

const text = (word: string): Uint8Array => new TextEncoder().encode(word);
const shown = (value: Parameters<typeof commandsOf>[0]): string[] =>
  [...commandsOf(value)].map(({ before, after }) => `${before.join(' ')} * ${after.join(' ')}`);

describe('the commands that make a value', () => {
  it('give the fields of a hash their times, after the fields', () => {
    const fields = [
      { field: text('a'), value: text('1'), expiresAt: 0 },
      { field: text('b'), value: text('2'), expiresAt: 1_700_000_000_123 },
    ];
    expect(shown({ type: 'hash', fields })).toEqual([
      'HSET * a 1 b 2',
      'HPEXPIREAT * 1700000000123 FIELDS 1 b',
    ]);
  });

  it('are none that a script cannot pass on, whatever the value', () => {
    const members = Array.from({ length: 20_000 }, (_, n) => text(`member ${n}`));
    const commands = [...commandsOf({ type: 'set', members })];
    expect(commands.flatMap(({ after }) => after)).toHaveLength(20_000);
    for (const { after } of commands) expect(after.length).toBeLessThanOrEqual(MOST_WORDS);
  });
});
