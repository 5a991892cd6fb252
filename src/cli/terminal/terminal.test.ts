import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
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
  test('draws a bar with rate and time left, and takes it away', async () => {
    const { output, text } = terminal();
    const progress = new Progress({
      output,
      style: plain,
      enabled: true,
      label: 'importing',
      unit: 'entries',
    });
    progress.total = 1_000;
    await sleep(20);
    progress.advance(500, 50_000, 500);
    await output.flush();
    expect(text()).toMatch(
      /^<importing ━{12}─{12} {2}50% {2}500 entries {2}[\d,]+\/s {2}\d+ms left$/,
    );
    progress.end();
    await output.flush();
    expect(text()).toMatch(/<$/);
    expect(progress.summary()).toMatch(/^500 entries, 50 kB in \d+ms \([\d,]+\/s\)$/);
  });

  test('draws without an end, at most ten times a second, never wider than the terminal', async () => {
    const { output, text } = terminal(30);
    const progress = new Progress({
      output,
      style: plain,
      enabled: true,
      label: 'copying',
      unit: 'entries',
    });
    for (let i = 1; i <= 10_000; i++) progress.advance(1, 1, i);
    await output.flush();
    const drawn = text().split('<').slice(1);
    expect(drawn.length).toBeLessThan(10);
    for (const line of drawn) {
      expect(line).toContain('copying');
      expect(line.length).toBeLessThan(30);
    }
  });

  test('draws nothing where it is not wanted', async () => {
    const { output, text } = terminal();
    const progress = new Progress({ output, style: plain, enabled: false, label: 'x', unit: 'y' });
    progress.advance(1, 1, 1);
    progress.end();
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
