import type { SetOptions } from '../../store/operations.ts';
import { type Command, type CommandInput, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { flag, usageError } from '../flags.ts';
import { headLine } from '../ndjson/record.ts';
import { openInput, readAll } from '../read-input.ts';
import { oneLine } from '../terminal/printable.ts';
import { parseValue, VALUE_FORMS } from '../values.ts';

const FLAGS = {
  as: flag.oneOf(VALUE_FORMS, 'how the value is given (default: its bytes as they are)'),
  file: flag.text('PATH', 'read the value from a file; - is standard input'),
  ttl: flag.duration('how long the entry lives'),
  'if-absent': flag.on('only where the key is not there yet'),
  'if-version': flag.opaque('VERSION', 'only over this version, as get --json shows it'),
  immutable: flag.on('the value never changes under this key'),
  meta: flag.meta('metadata to keep with the entry'),
};

export const setCommand: Command = defineCommand({
  name: 'set',
  summary: 'write the value of a key',
  args: ['STORE', 'KEY', 'VALUE?'],
  flags: FLAGS,
  details: [
    'The value is an argument, a file (--file) or standard input (-). --as json checks that it is',
    'JSON, --as hex reads hexadecimal digits. A failed condition exits with 3 and changes nothing.',
  ].join('\n'),
  examples: [
    [`stratakv set lmdb:./data user:1 '{"name":"Ada"}' --as json`, 'write JSON'],
    ['stratakv set lmdb:./data photo --file photo.jpg', 'write the bytes of a file'],
    ['date | stratakv set sqlite:./file.db now -', 'write what another program says'],
    ['stratakv set lmdb:./data lock me --if-absent --ttl 30s', 'take a lock for half a minute'],
  ],
  async run(context, { flags, args }) {
    const [name = '', key = '', given] = args;
    const options = setOptions(flags);
    const value = parseValue(
      'set',
      await readGiven(context, given, flags.file),
      flags.as ?? 'bytes',
    );
    const store = await context.open(name, { access: 'create', withoutCopy: true });
    const head = await store.set(key, value, { ...options, ...context.bounds });
    if (context.json) await context.out.line(headLine(head));
    else context.note(`${oneLine(head.key)}  version ${head.version}`);
    return EXIT.ok;
  },
});

function setOptions(flags: CommandInput<typeof FLAGS>['flags']): SetOptions {
  const { ttl, immutable, meta } = flags;
  const version = flags['if-version'];
  if (flags['if-absent'] === true && version !== undefined)
    throw usageError('set', '--if-absent and --if-version exclude each other');
  return {
    ...(ttl !== undefined && { ttlMs: ttl }),
    ...(immutable === true && { immutable }),
    ...(meta !== undefined && { meta }),
    ...(flags['if-absent'] === true && { if: 'absent' as const }),
    ...(version !== undefined && { if: { version } }),
  };
}

async function readGiven(
  context: Context,
  argument: string | undefined,
  file: string | undefined,
): Promise<Uint8Array> {
  if (argument !== undefined && file !== undefined)
    throw usageError('set', 'VALUE and --file exclude each other');
  const path = argument === '-' ? '-' : file;
  if (path !== undefined) return readAll(openInput('set', path, context.signal));
  if (argument === undefined)
    throw usageError(
      'set',
      'VALUE is missing; give it as an argument, with --file PATH, or - for standard input',
    );
  return new TextEncoder().encode(argument);
}
