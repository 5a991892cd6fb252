import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Store } from '../../store/store.ts';
import { type Command, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { startCounting } from '../count-keys.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { entryLine } from '../ndjson/record.ts';
import { fromSystemError, systemCode } from '../system-errors.ts';
import { Output } from '../terminal/output.ts';

/** Lines are written in pieces of about so many characters. */
const PIECE = 256 * 1024;

export const exportCommand: Command = defineCommand({
  name: 'export',
  summary: 'write all entries as NDJSON, one a line',
  args: ['STORE'],
  flags: {
    prefix: flag.text('PREFIX', 'only keys that begin so'),
    out: flag.text('FILE', 'write to a file, which appears when it is complete'),
  },
  details: [
    'Each line has key, value, and expiresAt, meta, immutable, modifiedAt where set. A value that',
    'is JSON stands as it is; others are strings marked with "encoding":"text" or "base64". Import',
    'brings the bytes back exactly.',
  ].join('\n'),
  examples: [
    ['stratakv export lmdb:./data --out backup.ndjson', 'to a file'],
    ['stratakv export lmdb:./data | gzip > backup.ndjson.gz', 'to another program'],
    ['stratakv export redis://127.0.0.1:6379/app --prefix user:', 'a part'],
  ],
  async run(context, { flags, args }) {
    const { prefix, out } = flags;
    const part = prefix === undefined ? {} : { prefix };
    const store = await context.open(args[0] ?? '', part);
    const summary =
      out === undefined
        ? await exportTo(context, store, part, context.out)
        : await toFile(out, (file) => exportTo(context, store, part, file));
    context.note(`exported ${summary}`);
    return EXIT.ok;
  },
});

async function exportTo(
  context: Context,
  store: Store<Uint8Array>,
  part: { readonly prefix?: string },
  output: Output,
): Promise<string> {
  const progress = context.progress('exporting', 'entries');
  const counting = startCounting(context, store, part, progress);
  let piece = '';
  try {
    for await (const entry of store.list({ ...part, ...context.bounds })) {
      const line = entryLine(entry);
      progress.advance(1, line.length + 1, progress.count + 1);
      piece += `${line}\n`;
      if (piece.length < PIECE) continue;
      await output.write(piece);
      piece = '';
    }
    await output.write(piece);
    await output.flush();
  } finally {
    counting.stop();
    progress.end();
  }
  return progress.summary();
}

/** Writes a file under another name first: whoever sees it sees all of it. */
async function toFile<T>(path: string, write: (output: Output) => Promise<T>): Promise<T> {
  const partial = `${path}.partial-${process.pid}`;
  const stream = createWriteStream(partial, { flush: true });
  try {
    await once(stream, 'open');
    const result = await write(new Output(stream, path));
    stream.end();
    await once(stream, 'close');
    await rename(partial, path);
    return result;
  } catch (error) {
    stream.destroy();
    await rm(partial, { force: true });
    // What is not there is the folder: the file was to be made.
    const missing = systemCode(error) === 'ENOENT';
    throw fromSystemError(error, 'export', missing ? `the folder ${dirname(path)}` : path);
  }
}
