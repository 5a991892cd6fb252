import { StrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { type Command, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { EntryWriter } from '../ndjson/entry-writer.ts';
import { parseRecord } from '../ndjson/parse-record.ts';
import { lineError, readLines } from '../ndjson/read-lines.ts';
import { type Input, openInput } from '../read-input.ts';
import { showCount } from '../terminal/printable.ts';

export const importCommand: Command = defineCommand({
  name: 'import',
  summary: 'write entries from NDJSON, one a line, as export makes them',
  args: ['STORE', 'FILE?'],
  flags: { atomic: flag.on('all entries in one commit, or none; they are held in memory') },
  details: [
    'A line is {"key":…,"value":…}, with expiresAt, meta, immutable and modifiedAt where known. A',
    'value is JSON, or a string with "encoding":"text" or "base64". Entries already expired are',
    'passed over. A broken line ends the import and is named; what stands before it stays imported,',
    'or nothing with --atomic.',
  ].join('\n'),
  examples: [
    ['stratakv import lmdb:./data backup.ndjson', 'from a file'],
    ['zcat backup.ndjson.gz | stratakv import lmdb:./data', 'from another program'],
    ['stratakv import sqlite:./file.db backup.ndjson --atomic', 'all or nothing'],
  ],
  async run(context, { flags, args }) {
    const [name = '', path = '-'] = args;
    const input = openInput('import', path, context.signal);
    const store = await context.open(name, { access: 'create', withoutCopy: true });
    const whole = flags.atomic === true;
    if (whole && store.capabilities.atomic !== 'batch')
      throw new StrataError('unsupported', 'import: this store has no atomic batches', {
        operation: 'import',
      });
    await importAll(context, store, input, whole);
    return EXIT.ok;
  },
});

async function importAll(
  context: Context,
  store: Store<Uint8Array>,
  input: Input,
  whole: boolean,
): Promise<void> {
  const writer = new EntryWriter(store, { operation: 'import', bounds: context.bounds, whole });
  const progress = context.progress('importing', 'entries');
  progress.total = input.totalBytes;
  try {
    let before = 0;
    for await (const { number, text, endsAt } of readLines('import', input.chunks)) {
      await writer.add(lineToWrite(writer, number, text));
      progress.advance(1, endsAt - before, endsAt);
      before = endsAt;
    }
    context.throwIfStopped('import');
    await writer.finish();
  } catch (error) {
    throw await ended(writer, whole, error);
  } finally {
    progress.end();
  }
  const { written, expired } = writer;
  if (context.json) await context.out.line(JSON.stringify({ imported: written, expired }));
  const passed = expired === 0 ? '' : `; ${showCount(expired)} were already expired`;
  context.note(`imported ${progress.summary()}${passed}`);
}

function lineToWrite(
  writer: EntryWriter,
  number: number,
  text: string,
): ReturnType<EntryWriter['check']> {
  try {
    return writer.check(parseRecord(text));
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw lineError('import', number, what.replace(/^import: /, ''), error);
  }
}

/** The error to report: with what was imported before it, which is first brought to its end. */
async function ended(writer: EntryWriter, whole: boolean, error: unknown): Promise<unknown> {
  if (!(error instanceof StrataError)) return error;
  let last: StrataError = error;
  const settled = error.code === 'invalid-argument' && !whole;
  try {
    if (settled) await writer.finish();
  } catch (failure) {
    if (!(failure instanceof StrataError)) return failure;
    last = failure;
  }
  const imported = whole
    ? 'nothing was imported'
    : `${showCount(writer.written)} ${writer.written === 1 ? 'entry was' : 'entries were'} imported`;
  const unsure = last.code === 'unknown-outcome' ? ', and perhaps the batch under way' : '';
  return new StrataError(last.code, `${last.message}; ${imported}${unsure}`, {
    operation: last.operation,
    key: last.key,
    cause: last,
    retryable: last.retryable,
    details: { ...last.details, imported: writer.written },
  });
}
