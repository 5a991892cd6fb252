import { type Command, defineCommand } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { fullEntryLine } from '../ndjson/record.ts';
import { formatValue, VALUE_FORMS } from '../values.ts';

export const getCommand: Command = defineCommand({
  name: 'get',
  summary: 'show the value of a key',
  args: ['STORE', 'KEY'],
  flags: {
    as: flag.oneOf(VALUE_FORMS, 'form of the value (default: exact bytes; readable on a terminal)'),
  },
  details: [
    'To a file or another program the value goes byte for byte. With --json the whole entry is',
    'written, with its version, times and metadata. A missing key writes nothing and exits with 1.',
  ].join('\n'),
  examples: [
    ['stratakv get lmdb:./data user:1', 'show a value'],
    ['stratakv get lmdb:./data photo > photo.jpg', 'bring a value into a file, exactly'],
    ['stratakv get sqlite:./file.db user:1 --json', 'the entry with version, times and metadata'],
    ['STRATAKV_TOKEN=… stratakv get ws://127.0.0.1:8080/ user:1', 'from a served store'],
  ],
  async run(context, { flags, args }) {
    const [name = '', key = ''] = args;
    const store = await context.open(name, { prefix: key });
    const entry = await store.getEntry(key, context.bounds);
    if (entry === undefined) return EXIT.notFound;
    const { out, json } = context;
    await out.write(
      json ? `${fullEntryLine(entry)}\n` : formatValue(key, entry.value, flags.as, out.isTerminal),
    );
    return EXIT.ok;
  },
});
