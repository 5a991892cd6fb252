import type { Entry } from '../../store/entry.ts';
import type { Store } from '../../store/store.ts';
import { type Command, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { flag, usageError } from '../flags.ts';
import { fullEntryLine, headLine } from '../ndjson/record.ts';
import { oneLine, shorten, showBytes } from '../terminal/printable.ts';
import { asText } from '../values.ts';

type ListRange = NonNullable<Parameters<Store<Uint8Array>['list']>[0]>;

export const listCommand: Command = defineCommand({
  name: 'list',
  summary: 'list keys, in the order of their bytes',
  args: ['STORE'],
  flags: {
    prefix: flag.text('PREFIX', 'only keys that begin so'),
    limit: flag.count('N', 'at most so many'),
    reverse: flag.on('last key first'),
    keys: flag.on('keys alone, one a line'),
    entries: flag.on('keys with their values'),
  },
  details: [
    'Shows key, size, time of writing and what the value begins with. Characters that could steer',
    'a terminal are written as escapes; --json writes keys exactly, with --entries also values.',
  ].join('\n'),
  examples: [
    ['stratakv list lmdb:./data --prefix user: --limit 20', 'the first 20 users'],
    ['stratakv list lmdb:./data --keys | wc -l', 'count the keys'],
    ['stratakv list sqlite:./file.db --json --entries', 'everything, for a program'],
  ],
  async run(context, { flags, args }) {
    const { prefix, limit, reverse } = flags;
    if (flags.keys === true && flags.entries === true)
      throw usageError('list', '--keys and --entries exclude each other');
    const range = {
      ...(prefix !== undefined && { prefix }),
      ...(limit !== undefined && { limit }),
      ...(reverse === true && { reverse }),
      ...context.bounds,
    };
    const store = await context.open(args[0] ?? '', prefix === undefined ? {} : { prefix });
    if (flags.keys === true) await writeKeys(context, store, range);
    else await writeEntries(context, store, range, flags.entries === true);
    return EXIT.ok;
  },
});

async function writeKeys(
  context: Context,
  store: Store<Uint8Array>,
  range: ListRange,
): Promise<void> {
  const { out, json } = context;
  for await (const key of store.keys(range))
    await out.line(json ? JSON.stringify(key) : oneLine(key));
}

async function writeEntries(
  context: Context,
  store: Store<Uint8Array>,
  range: ListRange,
  values: boolean,
): Promise<void> {
  const { out, json } = context;
  for await (const entry of store.list(range)) {
    if (json) await out.line(values ? fullEntryLine(entry) : headLine(entry));
    else await out.line(values ? valueLine(entry) : summaryLine(context, entry));
  }
}

function valueLine(entry: Entry<Uint8Array>): string {
  return `${oneLine(entry.key)}\t${readable(entry.value)}`;
}

function summaryLine(context: Context, entry: Entry<Uint8Array>): string {
  const { out, style } = context;
  const size = showBytes(entry.value.length).padStart(8);
  const time = new Date(entry.modifiedAt).toISOString().slice(0, 19).replace('T', ' ');
  const key = oneLine(entry.key);
  const room = (out.isTerminal ? out.columns() : 120) - key.length - 33;
  const begin = room < 8 ? '' : shorten(readable(entry.value.subarray(0, room * 4)), room);
  return `${style.dim(`${size}  ${time}`)}  ${key}${begin === '' ? '' : `  ${style.dim(begin)}`}`;
}

/** The value on one line: its text, or its hexadecimal digits. */
function readable(value: Uint8Array): string {
  const text = asText(value) ?? asText(cutToCharacter(value));
  return text === undefined ? Buffer.from(value).toString('hex') : oneLine(text);
}

/** Without the last, perhaps cut, character. */
function cutToCharacter(value: Uint8Array): Uint8Array {
  let end = value.length;
  while (end > 0 && ((value[end - 1] ?? 0) & 0xc0) === 0x80) end--;
  return value.subarray(0, Math.max(0, end - 1));
}
