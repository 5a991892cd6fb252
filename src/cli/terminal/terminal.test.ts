import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { formatValue, hexDump, prettyJson } from '../values.ts';
import { Output } from './output.ts';
import { oneLine, severalLines, shorten, showBytes } from './printable.ts';
import { Progress } from './progress.ts';
import { styleFor } from './style.ts';

const plain = styleFor(false, {});

function terminal(columns = 80): { output: Output; text: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns });
  const chunks: string[] = [];
  stream.on('data', (chunk) => chunks.push(String(chunk)));
  return {
    output: new Output(stream, 'a terminal'),
    text: () => chunks.join('').replaceAll('\r\u001b[2K', '<'),
  };
}

describe('progress', () => {
  let nowMs = 0;
  const monotonicMs = (): number => nowMs;
  const options = { style: plain, enabled: true, unit: 'entries', monotonicMs };

  test('draws a bar with rate and time left, and takes it away', async () => {
    const { output, text } = terminal();
    const progress = new Progress({ ...options, output, label: 'importing' });
    progress.total = 1_000;
    nowMs += 200;
    progress.advance(100, 10_000, 100);
    nowMs += 1_800;
    progress.advance(400, 40_000, 500);
    progress.end();
    await output.flush();
    expect(text().split('<').slice(1)).toEqual([
      `importing ${'━'.repeat(2)}${'─'.repeat(22)}  10%  100 entries  500/s`,
      `importing ${'━'.repeat(12)}${'─'.repeat(12)}  50%  500 entries  250/s  2s left`,
      '',
    ]);
    expect(progress.summary()).toBe('500 entries, 50 kB in 2s (250/s)');
  });

  test('draws without an end, ten times a second, never wider than the terminal', async () => {
    const { output, text } = terminal(30);
    const progress = new Progress({ ...options, output, label: 'copying' });
    for (let i = 1; i <= 10_000; i++) {
      nowMs += 0.1;
      progress.advance(1, 1, i);
    }
    await output.flush();
    const drawn = text().split('<').slice(1);
    expect(drawn.length).toBeGreaterThan(7);
    expect(drawn.length).toBeLessThan(11);
    for (const line of drawn) {
      expect(line).toContain('copying');
      expect(line.length).toBeLessThan(30);
    }
  });

  test('draws nothing where it is not wanted, nor for work that is soon done', async () => {
    const { output, text } = terminal();
    const unwanted = new Progress({ ...options, output, enabled: false, label: 'x' });
    const short = new Progress({ ...options, output, label: 'x' });
    short.advance(1, 1, 1);
    nowMs += 500;
    unwanted.advance(1, 1, 1);
    for (const one of [unwanted, short]) one.end();
    await output.flush();
    expect(text()).toBe('');
  });
});

describe('what is shown', () => {
  test('cannot steer the terminal', () => {
    const evil = 'a\u001b[2J\u009b1A\u202ecod\u0007\n\tz';
    expect(oneLine(evil)).toBe('a\\u001b[2J\\u009b1A\\u202ecod\\u0007\\n\\tz');
    expect(severalLines(evil)).toBe('a\\u001b[2J\\u009b1A\\u202ecod\\u0007\n\tz');
    const shown = formatValue('k', new TextEncoder().encode(evil), 'text', true);
    expect(shown).not.toContain('\u001b');
  });

  test('is exact for programs', () => {
    const bytes = Uint8Array.of(0xff, 0, 0x1b);
    expect(formatValue('k', bytes, undefined, false)).toBe(bytes);
    expect(formatValue('k', bytes, 'hex', false)).toBe('ff001b\n');
    expect(() => formatValue('k', bytes, 'text', false)).toThrow(
      'is no UTF-8; show it with --as hex',
    );
    expect(() => formatValue('k', Buffer.from('{'), 'json', false)).toThrow(
      'is no JSON; show it with --as text',
    );
  });

  test('keeps all digits of numbers', () => {
    expect(prettyJson('{"a":12345678901234567890,"b":[1e400,-0]}')).toBe(
      '{\n  "a": 12345678901234567890,\n  "b": [\n    1e400,\n    -0\n  ]\n}',
    );
  });

  test('is a dump where it is no text', () => {
    expect(formatValue('k', Uint8Array.of(0xff, 0x41), undefined, true)).toBe(
      `${hexDump(Uint8Array.of(0xff, 0x41))}\n`,
    );
    expect(hexDump(Buffer.from('0123456789abcdefG\n'))).toBe(
      [
        '00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef',
        `00000010  47 0a${' '.repeat(18)}  ${' '.repeat(23)}  G.`,
      ].join('\n'),
    );
  });

  test('is painted only where a person looks and does not mind', () => {
    expect(styleFor(true, {}).red('x')).toBe('\u001b[31mx\u001b[39m');
    for (const style of [
      plain,
      styleFor(true, { NO_COLOR: '1' }),
      styleFor(true, { TERM: 'dumb' }),
    ])
      expect(style.red('x')).toBe('x');
  });

  test.each([
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [1_234_567, '1.2 MB'],
    [999_999, '1.0 MB'],
    [52_300_000, '52 MB'],
  ])('%d bytes as %s', (bytes, text) => {
    expect(showBytes(bytes)).toBe(text);
  });

  test('is cut with a mark, never within a character', () => {
    expect(shorten('abcdef', 4)).toBe('abc…');
    expect(shorten('ab😀def', 4).isWellFormed()).toBe(true);
  });
});
