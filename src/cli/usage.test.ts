import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCli } from '../../test/support/cli-process.ts';
import { nearest } from '../kernel/nearest.ts';
import { COMMANDS } from './commands.ts';
import { COMMON_FLAGS } from './common-flags.ts';
import { parseDurationMs, showDuration } from './duration.ts';
import { parseFlags } from './flags.ts';
import { commandHelp } from './help.ts';
import { styleFor } from './terminal/style.ts';

const plain = styleFor(false, {});

describe('the command line', () => {
  test('says its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await runCli(['--version'])).toMatchObject({ code: 0, out: `${version}\n`, stderr: '' });
  });

  test('helps, and without a command says how it is used', async () => {
    const [helped, lost] = await Promise.all([runCli(['--help']), runCli([])]);
    expect(helped).toMatchObject({ code: 0, stderr: '' });
    for (const { name, summary } of COMMANDS)
      expect(helped.out).toMatch(
        new RegExp(`^ {2}${name} +${summary.replace(/[()]/g, '.')}$`, 'm'),
      );
    expect(lost).toMatchObject({ code: 2, out: '', stderr: helped.out });
  });

  test('helps with a command in both ways', async () => {
    const [flag, word] = await Promise.all([
      runCli(['set', '--help', 'and', 'more']),
      runCli(['help', 'set']),
    ]);
    expect(flag).toMatchObject({ code: 0, stderr: '' });
    expect(flag.out).toBe(word.out);
    expect(flag.out).toContain('stratakv set STORE KEY [VALUE]');
  });

  test.each<[string[], string]>([
    [['gte', 'memory:', 'k'], 'unknown command "gte"; did you mean get?'],
    [['frobnicate'], 'unknown command "frobnicate"; see stratakv --help'],
    [['get', 'memory:', 'k', '--jsn'], 'get: unknown flag --jsn; did you mean --json?'],
    [['get', 'memory:', 'k', '--xyzzy'], 'get: unknown flag --xyzzy; see stratakv get --help'],
    [['set', 'memory:', 'k', '-5'], 'write -- before a key or value that begins with a dash'],
    [['get', 'memory:'], 'get: KEY is missing; expected stratakv get STORE KEY'],
    [['get', 'memory:', 'a', 'b'], 'get: "b" is one too many; expected stratakv get STORE KEY'],
    [['list', 'memory:', '--limit'], 'list: --limit needs a value, N'],
    [
      ['list', 'memory:', '--limit', '--keys'],
      '--limit needs a value, N; if "--keys" is meant, write --limit=--keys',
    ],
    [['list', 'memory:', '--limit', '-1'], '--limit needs a value, N; if "-1" is meant'],
    [['list', 'memory:', '--limit=1.5'], '--limit is "1.5"; expected a whole number of at least 0'],
    [['list', 'memory:', '--keys=yes'], '--keys takes no value'],
    [['list', 'memory:', '--limit=1', '--limit=2'], '--limit is given twice'],
    [['list', 'memory:', '--keys', '--entries'], '--keys and --entries exclude each other'],
    [
      ['get', 'memory:', 'k', '--as', 'yaml'],
      '--as is "yaml"; expected one of json, text, bytes, hex',
    ],
    [['set', 'memory:', 'k', 'v', '--ttl', '10'], '--ttl is "10"; expected a time such as 500ms'],
    [['set', 'memory:', 'k', 'v', '--meta', '[1]'], '--meta is "[1]"; expected a JSON object'],
    [['set', 'memory:', 'k', 'v', '--if-absent', '--if-version', 'x'], 'exclude each other'],
    [['set', 'memory:', 'k'], 'VALUE is missing; give it as an argument, with --file PATH, or -'],
    [['set', 'memory:', 'k', 'v', '--file', 'f'], 'VALUE and --file exclude each other'],
    [['set', 'memory:', 'k', '--file', 'no/such/file'], 'no/such/file does not exist'],
    [['set', 'memory:', 'k', '{', '--as', 'json'], 'the value is "{"; expected JSON'],
    [['set', 'memory:', 'k', 'abc', '--as', 'hex'], 'expected hexadecimal digits, two a byte'],
    [['set', 'memory:', '', 'v'], 'the key is ""; expected at least one character'],
    [['set', 'memory:', 'k'.repeat(513), 'v'], 'has 513 bytes of UTF-8; expected at most 512'],
    [['delete', 'memory:', 'a', 'b', '--if-version', 'x'], '--if-version is for one key; got 2'],
    [['watch', 'memory:', '--after', 'yesterday'], '"yesterday" is no cursor'],
    [['watch', 'memory:', '--after', '-from'], '"-from" is no cursor'],
    [['delete', 'memory:', 'k', '--if-version', '-q'], '--if-version needs a value, VERSION'],
    [['copy', 'memory:', 'memory:'], 'FROM and TO are the same store'],
    [['get', 'lmbd:./data', 'k'], 'the store is "lmbd:./data"; expected one such as lmdb:./data'],
    [['get', 'memory:x', 'k'], 'expected memory: alone'],
    [['get', 'somewhere', 'k'], 'there is no strata.config.ts that could name it'],
    [['get', 'a', 'k', '--config', 'none.ts'], 'the configuration none.ts does not exist'],
    [['import', 'memory:', 'no/such/file'], 'import: no/such/file does not exist'],
  ])('refuses %j', async (args, message) => {
    const done = await runCli(args);
    expect(done.stderr).toContain(message);
    expect(done.stderr).toMatch(/^stratakv: invalid-argument: .*\n$/);
    expect(done).toMatchObject({ code: 2, out: '' });
  });

  test('gives errors as JSON where that is wanted', async () => {
    const done = await runCli(['set', 'memory:', '', 'v', '--json']);
    expect(JSON.parse(done.stderr)).toEqual({
      error: {
        code: 'invalid-argument',
        message: 'set: the key is ""; expected at least one character',
        operation: 'set',
        key: '',
        retryable: false,
      },
    });
  });

  test('never shows a password or a token', async () => {
    for (const url of ['ws://h/?token=s3cret', 'ws://u:s3cret@h/', 'redis://u:s3cret@h/?x']) {
      const done = await runCli(['get', url, 'k']);
      expect(done.code).toBe(2);
      expect(done.stderr).not.toContain('s3cret');
    }
  });
});

describe('its parts', () => {
  test.each([
    ['500ms', 500],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['7d', 604_800_000],
  ])('reads the time %s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  test.each(['', '0s', '-1s', '1', '1 s', 's', '1w', '1e3s', '999999999999999d'])(
    'refuses the time %j',
    (text) => {
      expect(() => parseDurationMs(text)).toThrow('a time such as');
    },
  );

  test.each([
    [20, '20ms'],
    [42_000, '42s'],
    [3_600_000, '1h'],
    [5_430_000, '1h30m'],
    [90_061_000, '1d1h'],
  ])('shows %d ms as %s', (ms, text) => {
    expect(showDuration(ms)).toBe(text);
  });

  test('finds the name that was meant', () => {
    const names = ['get', 'set', 'delete', 'list', 'import', 'export'];
    expect(nearest('expotr', names)).toBe('export');
    expect(nearest('del', names)).toBe('delete');
    expect(nearest('lst', names)).toBe('list');
    expect(nearest('frobnicate', names)).toBeUndefined();
  });

  test('every example of every command is one that the command reads', () => {
    for (const command of COMMANDS) {
      expect(command.examples.length).toBeGreaterThan(1);
      for (const [line] of command.examples) {
        const typed = line
          .slice(line.lastIndexOf(`stratakv ${command.name}`))
          .replace(/ [|>].*$/, '');
        const words = [...typed.matchAll(/'([^']*)'|(\S+)/g)].map(
          (word) => word[1] ?? word[2] ?? '',
        );
        const { positionals } = parseFlags(command.name, command.flags, words.slice(2));
        const least = command.args.filter((name) => !name.endsWith('?')).length;
        expect(positionals.length, line).toBeGreaterThanOrEqual(
          Math.min(least, command.name === 'delete' ? 1 : least),
        );
      }
    }
  });

  test('help shows every flag once', () => {
    for (const command of COMMANDS) {
      const text = commandHelp(command, plain);
      for (const name of Object.keys({ ...command.flags, ...COMMON_FLAGS }))
        expect(
          text.match(new RegExp(`^ +(-\\w, )?--${name}( |$)`, 'gm')),
          `${command.name} --${name}`,
        ).toHaveLength(1);
    }
  });
});
